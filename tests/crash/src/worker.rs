//! A worker of a crash test: a real consumer that is going to be killed.
//!
//! Its one argument is a plan, as the tests of this crate write it.

use anyhow::{Context as _, Result};
use tracing_subscriber::EnvFilter;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_env_filter(filter()).with_writer(std::io::stderr).init();
    silence_the_poison();
    let plan = std::env::args()
        .nth(1)
        .context("the plan is missing: `cargo test -p steadfast-crash` starts workers")?;
    steadfast_crash::work(serde_json::from_str(&plan).context("the plan cannot be read")?).await
}

/// Nothing of the clients, whose connections break by design, unless it is asked for.
fn filter() -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error,lapin=off"))
}

/// Panics that the round has asked for say nothing.
fn silence_the_poison() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str() != Some(steadfast_crash::PANIC) {
            hook(panic);
        }
    }));
}

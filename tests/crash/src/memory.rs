//! How much memory a worker takes.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use steadfast_postgres::{Config, testing::Scratch};
use steadfast_test_servers::Process;

use crate::{Event, Ledger, Line, Plan};

/// How long one message may take on a slow and busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most memory, in bytes, that one worker has taken by the time it has completed so many messages of
/// the topic, however many there are.
///
/// # Errors
/// When the worker ends, or does not go on.
pub fn peak_memory(program: &str, plan: &Plan, completed: usize) -> Result<u64> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let scratch = runtime.block_on(Scratch::with(Config::new(&plan.store)?.lanes(1)?))?;
    let plan =
        Plan { schema: scratch.schema().to_owned(), topic: Some(plan.topic()), ..plan.clone() };
    runtime.block_on(Ledger::new(&plan.schema).make(scratch.pool()))?;
    let mut command = Command::new(program);
    command.arg(serde_json::to_string(&plan)?);
    let mut worker = Process::spawn(command)?;
    let mut done = 0;
    while done < completed {
        let line = worker.line(PATIENCE).context("the worker does not go on")?;
        done += usize::from(Line::read(&line).is_some_and(|line| line.event == Event::Done));
    }
    let status = fs::read_to_string(format!("/proc/{}/status", worker.id()))?;
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    let kilobytes: u64 = peak.context("no VmHWM")?.trim().parse()?;
    worker.terminate()?;
    // What it had in flight ends, and it says so.
    worker.lines_to_the_end().for_each(drop);
    ensure!(worker.wait()?.success(), "the worker did not end well");
    Ok(kilobytes * 1024)
}

//! `cargo xtask services`: the servers that tests need, for a person at work.

use anyhow::{Result, bail};
use clap::Subcommand;
use steadfast_test_servers::Service;

/// What to do with the servers; without a name, with all of them.
#[derive(Subcommand)]
pub(crate) enum Services {
    /// Starts them, or finds them running, and says where they are
    Up {
        /// Which of them, such as `postgres`; all without a name
        names: Vec<Service>,
    },
    /// Stops what `up` started; their data stay for the next time
    Down {
        /// Which of them, such as `postgres`; all without a name
        names: Vec<Service>,
    },
    /// Shows where they are and the ids of their processes
    Status {
        /// Which of them, such as `postgres`; all without a name
        names: Vec<Service>,
    },
}

impl Services {
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::Up { names } => each(names, up),
            Self::Down { names } => each(names, down),
            Self::Status { names } => each(names, status),
        }
    }
}

/// One that fails does not keep the others from their turn.
fn each(names: Vec<Service>, act: impl Fn(Service) -> Result<()>) -> Result<()> {
    let services = if names.is_empty() { Service::ALL.to_vec() } else { names };
    let mut failed = Vec::new();
    for service in services {
        if let Err(problem) = act(service) {
            eprintln!("{service}: {problem:#}");
            failed.push(service.name());
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn up(service: Service) -> Result<()> {
    if service.pid().is_none() {
        println!("starting {service}");
    }
    service.up()?;
    status(service)
}

fn down(service: Service) -> Result<()> {
    let stopped = service.down()?;
    println!("{service:<10} {}", if stopped { "stopped" } else { "was not running" });
    Ok(())
}

fn status(service: Service) -> Result<()> {
    match (service.pid(), service.url()) {
        (Some(pid), Ok(url)) => {
            println!("{service:<10} {url}   process {pid}, log {}", service.log().display());
        }
        (None, Ok(url)) => {
            println!("{service:<10} {url}   in Docker, or as {} says", service.variable())
        }
        (_, Err(_)) => println!("{service:<10} down"),
    }
    Ok(())
}

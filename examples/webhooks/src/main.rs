//! The main job: GitHub webhooks, each published several times, shuffled, some broken, through a
//! consumer with everything on; then proof that none was lost and none took effect twice.

mod audit;
mod broker;
mod cli;
mod faults;
mod handler;
mod input;
mod job;
mod kafka;
mod ledger;
mod manifest;
mod plan;
mod progress;
mod publish;
mod rabbitmq;
mod report;
mod schema;
mod scheme;
mod store;
mod table;
mod tally;
mod verdict;
mod watch;

use std::{
    io::{Write as _, stderr, stdout},
    process::ExitCode,
    time::Instant,
};

use clap::{Parser as _, error::ErrorKind};
use tracing_subscriber::EnvFilter;

use crate::{
    cli::Options,
    job::{End, Job},
    report::Report,
    scheme::redact,
};

const FAILED: u8 = 1;
const BAD_OPTIONS: u8 = 2;
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp) => error.exit(),
        Err(error) => {
            let _ = write!(stderr(), "{}", redact(&error.to_string()));
            return ExitCode::from(BAD_OPTIONS);
        }
    };
    // RabbitMQ's client tells as an error what comes back to us as one.
    let quiet = || EnvFilter::new("error,lapin=off");
    let log = EnvFilter::try_from_default_env().unwrap_or_else(|_| quiet());
    tracing_subscriber::fmt().with_env_filter(log).with_writer(stderr).init();
    handler::silence_the_bug();
    run(options).await
}

async fn run(options: Options) -> ExitCode {
    let (input, named) = options.input();
    let most = options.most(&input);
    let webhooks = match input.webhooks(most) {
        Ok(webhooks) => webhooks,
        Err(problem) => {
            return complain(&redact(&format!("{named}: {problem}")), BAD_OPTIONS);
        }
    };
    let job = match Job::open(options).await {
        Ok(job) => job,
        Err(problem) => return complain(&problem, BAD_OPTIONS),
    };
    if let Some(schema) = job.ledger.schema() {
        tell(&schema.announce());
    }
    let started = Instant::now();
    let end = job.run(webhooks, most).await;
    let report = match Report::on(&job, started.elapsed()).await {
        Ok(report) => report,
        Err(problem) => return complain(&problem, FAILED),
    };
    if job.tally.sent.get() > 0 {
        say(&report.text);
    }
    if let Some(schema) = job.ledger.schema() {
        let is_over = matches!(end, End::Finished) && report.problems.is_empty();
        tell(&schema.close(is_over).await);
    }
    match end {
        End::Interrupted => complain("stopped by a signal: this is how far it came", INTERRUPTED),
        End::Failed(error) => complain(&error.to_string(), FAILED),
        End::Finished => {
            let code = if report.problems.is_empty() { 0 } else { FAILED };
            for problem in &report.problems {
                complain(problem, FAILED);
            }
            say(&format!("\n{}\n", report.summary));
            ExitCode::from(code)
        }
    }
}

fn say(text: &str) {
    // Whoever closes the pipe has read enough; the exit code tells the rest.
    let _ = stdout().write_all(text.as_bytes());
}

fn tell(words: &str) {
    for line in words.lines() {
        let _ = writeln!(stderr(), "webhooks: {line}");
    }
}

fn complain(problem: &str, code: u8) -> ExitCode {
    tell(problem);
    ExitCode::from(code)
}

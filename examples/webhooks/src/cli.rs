//! The options, and what is wrong with them in words.

use std::{env, path::PathBuf};

use clap::Parser;

use crate::input::Input;

/// Sends GitHub webhooks through a consumer with everything on, and counts.
///
/// Each webhook is published several times, shuffled; some bodies are cut in half; broker, store
/// and handler fail by seed. At the end none may be lost, and none may have taken effect twice.
#[derive(Debug, Clone, Parser)]
#[command(name = "webhooks", after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Options {
    /// Webhooks, one JSON object {"event": "…", "payload": {…}} a line
    /// [env: STEADFAST_WEBHOOKS=] [default: ten small built-in samples]
    #[arg(verbatim_doc_comment)]
    pub(crate) file: Option<PathBuf>,

    /// How many different webhooks: the file is read again and again
    /// [default: each line once; with the built-in samples 1000]
    #[arg(long, value_name = "N", value_parser = number(1, 1_000_000_000), verbatim_doc_comment)]
    pub(crate) messages: Option<u64>,

    /// How many times each webhook is published
    #[arg(long, value_name = "N", default_value = "3", value_parser = number(1, 100))]
    pub(crate) copies: u64,

    /// Decides the order, what is cut, and what fails
    #[arg(long, value_name = "N", default_value = "1", value_parser = number(0, u64::MAX))]
    pub(crate) seed: u64,

    /// mock: embedded, nothing to install; or an address, amqp://user:password@localhost or
    /// kafka://localhost:9092 for instance: the run makes queues or topics of its own there
    #[arg(long, value_name = "mock|ADDRESS", default_value = "mock", verbatim_doc_comment)]
    pub(crate) broker: String,

    /// memory, or postgres://user:password@host:port/database: what the run needs is made in a
    /// schema of its own, and dropped when the run ends well
    #[arg(long, value_name = "memory|ADDRESS", default_value = "memory", verbatim_doc_comment)]
    pub(crate) store: String,

    /// Names the run, and so its schema, which is then kept; goes on with the run of this name if
    /// there is one, after a kill -9 for instance [default: a new name for each run]
    #[arg(long, value_name = "NAME", verbatim_doc_comment)]
    pub(crate) run: Option<String>,

    /// How many handlers run at once
    #[arg(long, value_name = "N", default_value = "32", value_parser = concurrency)]
    pub(crate) concurrency: usize,

    /// Show the first 50 dead letters with their stories
    #[arg(long)]
    pub(crate) dead_letters: bool,
}

const EXAMPLES: &str = "\
Examples:
  webhooks                                  the samples, embedded broker, a few seconds
  webhooks hooks.ndjson --seed 7            a file of yours, another order, other faults
  webhooks hooks.ndjson --messages 100000   the file again and again, 100,000 webhooks
  webhooks --dead-letters                   also shows what was given up, and why
  webhooks --broker amqp://guest:guest@localhost         through RabbitMQ instead
  webhooks --store postgres://me@localhost/db            effects in a table, counted there
  webhooks --store postgres://me@localhost/db --run one  kill it, start it again: it goes on

Exit code: 0 if nothing was lost or doubled and everything ended where it must, 1 if not,
or if the input is bad; 2 for bad options or a store that cannot be used, 130 after Ctrl-C. RUST_LOG=warn shows the log.";

/// The environment variable that stands in for FILE.
const ENVIRONMENT: &str = "STEADFAST_WEBHOOKS";
/// How many messages are made of the samples.
const OF_SAMPLES: u64 = 1_000;
const MOST_HANDLERS: u64 = 10_000;

impl Options {
    /// The name of the run: a new one unless one was given.
    pub(crate) fn run_name(&self) -> String {
        self.run.clone().unwrap_or_else(|| format!("webhooks_{:08x}", rand::random::<u32>()))
    }

    /// What decides which messages there are, and must be the same when a run is gone on with.
    pub(crate) fn what_decides(&self) -> String {
        let (input, _) = self.input();
        let messages = self.most(&input).map_or_else(|| "each line".into(), |n| n.to_string());
        format!("--seed {} --messages {messages} {}", self.seed, input.name())
    }

    /// The input, and what named it.
    pub(crate) fn input(&self) -> (Input, &'static str) {
        if let Some(path) = &self.file {
            return (Input::File(path.clone()), "FILE");
        }
        match env::var_os(ENVIRONMENT).filter(|path| !path.is_empty()) {
            Some(path) => (Input::File(path.into()), ENVIRONMENT),
            None => (Input::Samples, "the input"),
        }
    }

    /// How many webhooks to publish; `None` is each line once.
    pub(crate) fn most(&self, input: &Input) -> Option<u64> {
        self.messages.or(match input {
            Input::Samples => Some(OF_SAMPLES),
            Input::File(_) => None,
        })
    }
}

fn number(least: u64, most: u64) -> impl Fn(&str) -> Result<u64, String> + Clone {
    move |text| {
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| format!("needs a whole number from {least} to {most}"))
    }
}

fn concurrency(text: &str) -> Result<usize, String> {
    let handlers = number(1, MOST_HANDLERS)(text)?;
    usize::try_from(handlers).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn options(args: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["webhooks"], args].concat())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
        assert!(options(&[]).is_ok());
    }

    #[test]
    fn a_bad_number_is_refused_with_option_value_and_need() {
        for (option, value, needed) in [
            ("--copies", "0", "from 1 to 100"),
            ("--copies", "many", "from 1 to 100"),
            ("--messages", "-1", "from 1 to"),
            ("--concurrency", "20000", "from 1 to 10000"),
            ("--seed", "1.5", "from 0 to"),
        ] {
            let given = format!("{option}={value}");
            let problem = options(&[&given]).expect_err("not a number of the range").to_string();
            assert!(problem.contains(option) && problem.contains(value), "{problem}");
            assert!(problem.contains(needed), "{problem}");
        }
    }
}

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

    /// mock: embedded, nothing to install; or an address, amqp://… for instance
    #[arg(long, value_name = "mock|ADDRESS", default_value = "mock")]
    pub(crate) broker: String,

    /// memory, or an address, postgres://… for instance
    #[arg(long, value_name = "memory|ADDRESS", default_value = "memory")]
    pub(crate) store: String,

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

Exit code: 0 if nothing was lost or doubled and everything ended where it must, 1 if not,
or if the input is bad; 2 for bad options, 130 after Ctrl-C. RUST_LOG=warn shows the log.";

/// The environment variable that stands in for FILE.
const ENVIRONMENT: &str = "STEADFAST_WEBHOOKS";
/// How many messages are made of the samples.
const OF_SAMPLES: u64 = 1_000;
const MOST_HANDLERS: u64 = 10_000;

const BROKERS: [(&str, &str); 5] = [
    ("amqp", "RabbitMQ adapter"),
    ("amqps", "RabbitMQ adapter"),
    ("kafka", "Kafka adapter"),
    ("sqs", "SQS adapter"),
    ("pubsub", "Pub/Sub adapter"),
];
const STORES: [(&str, &str); 2] =
    [("postgres", "Postgres store"), ("postgresql", "Postgres store")];

impl Options {
    /// Refuses what this version cannot do.
    pub(crate) fn check(&self) -> Result<(), String> {
        place("--broker", &self.broker, "mock", &BROKERS)?;
        place("--store", &self.store, "memory", &STORES)
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

/// Checks where something should be, without ever repeating an address: it may hold a password.
fn place(option: &str, found: &str, embedded: &str, known: &[(&str, &str)]) -> Result<(), String> {
    if found == embedded {
        return Ok(());
    }
    let scheme = found.split_once("://").map(|(scheme, _)| scheme);
    if let Some((_, what)) = known.iter().find(|(known, _)| Some(*known) == scheme) {
        return Err(format!(
            "{option}: this version has no {what} yet: leave {option} away, or use {option} \
             {embedded}"
        ));
    }
    let addresses: Vec<_> = known.iter().map(|(scheme, _)| format!("{scheme}://")).collect();
    let found = if is_word(found) { format!("is `{found}`") } else { "is not known".to_owned() };
    let addresses = addresses.join(", ");
    Err(format!("{option} {found}: needs {embedded}, or an address that begins with {addresses}"))
}

fn is_word(text: &str) -> bool {
    (1..=16).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_alphabetic())
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

/// Takes addresses out of a text that repeats what was given: an address in the wrong place may hold
/// a password, too.
pub(crate) fn redact(text: &str) -> String {
    let mut parts = text.split("://");
    let mut redacted = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let address = part.find(|c: char| c.is_whitespace() || c == '\'').unwrap_or(part.len());
        redacted.push_str("://…");
        redacted.push_str(&part[address..]);
    }
    redacted
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
        assert!(options(&[]).expect("defaults are good").check().is_ok());
    }

    #[test]
    fn an_absent_adapter_is_named_and_no_address_is_shown() {
        for (option, address, words) in [
            ("--broker", "amqp://user:s3cret@host", "no RabbitMQ adapter yet"),
            ("--broker", "kafka://user:s3cret@host", "no Kafka adapter yet"),
            ("--store", "postgres://user:s3cret@host/db", "no Postgres store yet"),
            ("--broker", "user:s3cret@host", "--broker is not known: needs mock, or an address"),
            ("--broker", "http://s3cret", "--broker is not known"),
            ("--store", "redis", "--store is `redis`: needs memory, or an address"),
        ] {
            let options = options(&[option, address]).expect("the form is good");
            let problem = options.check().expect_err("it is not there");
            assert!(problem.contains(words) && !problem.contains("s3cret"), "{problem}");
        }
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

    #[test]
    fn credentials_are_taken_out_of_addresses() {
        for (given, shown) in [
            ("no address", "no address"),
            ("'amqp://u:p@h/v' found", "'amqp://…' found"),
            ("a://u:p@h and b://h?p=x", "a://… and b://…"),
        ] {
            assert_eq!(redact(given), shown);
        }
    }
}

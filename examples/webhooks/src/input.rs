//! Reads webhooks: one JSON object `{"event", "payload"}` a line, each line bounded in size.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::PathBuf,
};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::handler::Activity;

/// The most bytes that one line may have: what the consumer takes as one payload.
const LONGEST_LINE: usize = 16 << 20;
/// The most characters in the name of an event.
const LONGEST_EVENT: usize = 64;

/// One webhook, its body as it stands in the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Webhook {
    pub(crate) event: String,
    pub(crate) body: Bytes,
}

/// Where webhooks come from. It can be read again and again.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    Samples,
    File(PathBuf),
}

/// Why the input cannot be used. `place` is the file, with the line where there is one.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {what}")]
pub(crate) struct InputError {
    place: String,
    what: String,
}

impl Input {
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Samples => "the built-in samples".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// Reads it once, or again and again until there are `most` webhooks.
    ///
    /// # Errors
    /// When it cannot be opened, or is no file that can be read from the start again.
    pub(crate) fn webhooks(self, most: Option<u64>) -> Result<Webhooks, InputError> {
        let reader = self.open()?;
        let line = Line { number: 0, text: Vec::new() };
        Ok(Webhooks { input: self, reader, line, given: 0, in_this_pass: 0, most, ended: false })
    }

    fn open(&self) -> Result<Box<dyn BufRead + Send>, InputError> {
        match self {
            Self::Samples => Ok(Box::new(SAMPLES)),
            Self::File(path) => {
                let cannot = |error| self.error(format!("cannot be opened: {error}"));
                // Looked at first: to open a pipe is to wait for its writer.
                if !path.metadata().map_err(cannot)?.is_file() {
                    return Err(self.error("is no regular file, which can be read again"));
                }
                let file = File::open(path).map_err(cannot)?;
                Ok(Box::new(BufReader::with_capacity(1 << 16, file)))
            }
        }
    }

    fn error(&self, what: impl ToString) -> InputError {
        InputError { place: self.name(), what: what.to_string() }
    }
}

/// The webhooks of an input. Ends after the first error.
pub(crate) struct Webhooks {
    input: Input,
    reader: Box<dyn BufRead + Send>,
    line: Line,
    given: u64,
    in_this_pass: u64,
    most: Option<u64>,
    ended: bool,
}

impl Iterator for Webhooks {
    type Item = Result<Webhook, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended || self.most == Some(self.given) {
            return None;
        }
        let next = self.advance().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

impl Webhooks {
    fn advance(&mut self) -> Result<Option<Webhook>, InputError> {
        loop {
            let read = self.line.read(&mut self.reader);
            if !read.map_err(|what| self.line_error(what))? {
                if self.in_this_pass == 0 {
                    return Err(self.input.error("has no webhook: at least one line is needed"));
                }
                if self.most.is_none() {
                    return Ok(None);
                }
                self.reader = self.input.open()?;
                self.line.number = 0;
                self.in_this_pass = 0;
            } else if !self.line.text.trim_ascii().is_empty() {
                let webhook = parse(&self.line.text).map_err(|what| self.line_error(what))?;
                self.given += 1;
                self.in_this_pass += 1;
                return Ok(Some(webhook));
            }
        }
    }

    fn line_error(&self, what: String) -> InputError {
        InputError { place: format!("{}:{}", self.input.name(), self.line.number), what }
    }
}

/// The line at hand.
struct Line {
    number: u64,
    text: Vec<u8>,
}

impl Line {
    /// Reads the next line; `false` at the end.
    fn read(&mut self, reader: &mut dyn BufRead) -> Result<bool, String> {
        self.text.clear();
        self.number += 1;
        let bound = LONGEST_LINE as u64 + 1;
        let read = Read::take(reader, bound).read_until(b'\n', &mut self.text);
        let read = read.map_err(|error: io::Error| format!("cannot be read: {error}"))?;
        if self.text.len() > LONGEST_LINE {
            return Err(format!("the line is longer than {} MiB", LONGEST_LINE >> 20));
        }
        Ok(read > 0)
    }
}

fn parse(line: &[u8]) -> Result<Webhook, String> {
    #[derive(Deserialize)]
    struct Entry<'a> {
        event: String,
        #[serde(borrow)]
        payload: &'a RawValue,
    }
    let needed = r#"needs one JSON object {"event": "…", "payload": {…}}"#;
    let entry: Entry<'_> =
        serde_json::from_slice(line).map_err(|error| format!("{}: {needed}", describe(&error)))?;
    let of_the_alphabet = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
    let Entry { event, payload } = entry;
    if !(1..=LONGEST_EVENT).contains(&event.len()) || !event.bytes().all(of_the_alphabet) {
        let needed = "1 to 64 of the characters a-z 0-9 _";
        return Err(format!("`event` is {:?}: needs {needed}", shortened(&event)));
    }
    let body = payload.get();
    if !body.starts_with('{') {
        return Err("`payload` is not a JSON object".to_owned());
    }
    // What the handler could not decode would be taken for a body that was cut.
    serde_json::from_str::<Activity>(body)
        .map_err(|error| format!("`payload` is no webhook: {}", describe(&error)))?;
    Ok(Webhook { event, body: Bytes::copy_from_slice(body.as_bytes()) })
}

/// A parser's words without its own line number, which is always 1.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    format!("{what} at column {}", error.column())
}

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST_EVENT).collect()
}

/// Invented, in the form of GitHub's.
const SAMPLES: &[u8] = include_bytes!("samples.ndjson");

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &'static str, most: Option<u64>) -> Webhooks {
        let mut webhooks = Input::Samples.webhooks(most).expect("the samples are there");
        webhooks.reader = Box::new(text.as_bytes());
        webhooks
    }

    fn problem(text: &'static str) -> String {
        let ended = of(text, None).find_map(Result::err);
        ended.expect("the input is bad").to_string()
    }

    #[test]
    fn the_samples_hold_every_kind_that_is_treated_specially() {
        let events: Vec<_> = Input::Samples
            .webhooks(None)
            .expect("the samples are there")
            .map(|webhook| webhook.expect("the samples are well formed").event)
            .collect();
        assert_eq!(events.len(), 10);
        for kind in [crate::plan::UNWANTED, crate::plan::REFUSED, crate::plan::PANICKING] {
            assert!(events.iter().any(|event| event == kind), "{kind}");
        }
    }

    #[test]
    fn the_input_is_repeated_up_to_the_number_asked_for() {
        let webhooks = Input::Samples.webhooks(Some(25)).expect("the samples are there");
        assert_eq!(webhooks.filter_map(Result::ok).count(), 25);
    }

    #[test]
    fn the_body_is_the_payload_as_it_stands_in_the_line() {
        let line = "{\"payload\": {\"a\" :  1}, \"event\":\"push\", \"more\":[]}\n\n";
        let webhook = of(line, None).next().expect("one line").expect("well formed");
        assert_eq!(webhook, Webhook { event: "push".into(), body: r#"{"a" :  1}"#.into() });
    }

    #[test]
    fn a_bad_line_is_named_with_its_number_and_what_is_wrong() {
        let good = r#"{"event":"push","payload":{}}"#;
        let second = |bad: &str| problem(Box::leak(format!("{good}\n{bad}\n").into_boxed_str()));
        let place = "the built-in samples:2: ";
        for (bad, words) in [
            ("{", "EOF while parsing an object at column"),
            (r#"{"payload":{}}"#, "missing field `event` at column"),
            (r#"{"event":"push"}"#, "missing field `payload`"),
            (r#"{"event":"push","payload":[1]}"#, "`payload` is not a JSON object"),
            (r#"{"event":"","payload":{}}"#, "`event` is \"\": needs 1 to 64"),
            (r#"{"event":"\u001b[2J","payload":{}}"#, "`event` is \"\\u{1b}[2J\": needs"),
            ("[]", "needs one JSON object"),
            (
                r#"{"event":"push","payload":{"action":7}}"#,
                "`payload` is no webhook: invalid type: integer `7`, expected a string at column 11",
            ),
        ] {
            let problem = second(bad);
            assert!(problem.starts_with(place) && problem.contains(words), "{problem}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused_before_memory_is_full() {
        let mut endless = BufReader::new(io::repeat(b'x'));
        let mut line = Line { number: 0, text: Vec::new() };
        let problem = line.read(&mut endless).expect_err("it has no end");
        assert_eq!(problem, "the line is longer than 16 MiB");
    }

    #[test]
    fn an_input_without_webhooks_is_refused_instead_of_repeated() {
        let problem = of("\n \n", Some(3)).find_map(Result::err).expect("nothing to repeat");
        assert!(problem.to_string().ends_with("has no webhook: at least one line is needed"));
    }

    #[test]
    fn what_is_not_a_file_is_refused() {
        for path in ["/no/such/file", "/"] {
            let problem = Input::File(path.into()).webhooks(None).err().expect("not a file");
            assert!(problem.to_string().starts_with(path), "{problem}");
        }
    }
}

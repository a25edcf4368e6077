//! A command run to its end, or to a time limit, with everything that it printed in one text.

use std::{
    io::{self, BufRead as _, BufReader},
    process::{Command, ExitStatus},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

/// What a command printed, standard output and standard error as they came.
pub(crate) struct Captured {
    pub(crate) output: String,
    /// `None` when the limit was reached and the command was killed.
    pub(crate) status: Option<ExitStatus>,
}

/// Runs the command; at the limit it is killed.
pub(crate) fn capture(mut command: Command, limit: Duration) -> Result<Captured> {
    let deadline = Instant::now() + limit;
    let (reader, writer) = io::pipe().context("cannot make a pipe")?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().context("cannot start it")?;
    // It holds the writing end of the pipe, without which the reading end would never see the end.
    drop(command);

    let (lines, received) = mpsc::channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            if lines.send(std::mem::take(&mut line)).is_err() {
                break;
            }
        }
    });

    let mut output = Vec::new();
    let in_time = loop {
        match received.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => output.extend(line),
            Err(RecvTimeoutError::Disconnected) => break true,
            Err(RecvTimeoutError::Timeout) => break false,
        }
    };
    if !in_time {
        child.kill().context("cannot kill it")?;
    }
    let status = child.wait()?;
    let output = String::from_utf8_lossy(&output).into_owned();
    Ok(Captured { output, status: in_time.then_some(status) })
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::capture;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn both_streams_are_captured_in_the_order_of_printing() {
        let script = "echo one; echo two >&2; echo three; printf four >&2; exit 5";
        let captured = capture(shell(script), Duration::from_secs(600)).expect("sh runs");
        assert_eq!(captured.output, "one\ntwo\nthree\nfour");
        assert_eq!(captured.status.and_then(|status| status.code()), Some(5));
    }

    #[test]
    fn a_command_that_does_not_end_is_killed_at_the_limit() {
        let captured = capture(shell("exec tail -f /dev/null"), Duration::ZERO).expect("sh runs");
        assert!(captured.status.is_none());
    }
}

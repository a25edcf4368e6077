//! A child program that a test reads, stops where it stands, and kills.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A child program whose standard output comes line by line. Dropping it kills it.
///
/// What it has printed before it died is still to be read.
#[derive(Debug)]
pub struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    /// Starts the command, in a process group of its own.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(mut command: Command) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        let output = child.stdout.take().context("standard output is not piped")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            // Nobody listens any more: there is nothing left to do.
            let _ = lines.map(|line| sender.send(line)).all(|sent| sent.is_ok());
        });
        Ok(Self { child, lines })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line; `None` when there was none in this time, or when there will be none.
    pub fn line(&self, patience: Duration) -> Option<String> {
        self.lines.recv_timeout(patience).ok()
    }

    /// The lines that came and were not read yet.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.lines.try_iter()
    }

    /// All lines until it closes its output, which it does when it ends.
    pub fn lines_to_the_end(&self) -> impl Iterator<Item = String> {
        self.lines.iter()
    }

    /// Reads on to the first line that is wanted.
    ///
    /// # Errors
    /// When it ends before, or the line does not come in this time.
    pub fn wait_for(
        &self,
        patience: Duration,
        mut wanted: impl FnMut(&str) -> bool,
    ) -> Result<String> {
        let deadline = Instant::now() + patience;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if wanted(&line) => return Ok(line),
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("it ended before the line came"),
                Err(RecvTimeoutError::Timeout) => bail!("the line did not come"),
            }
        }
    }

    /// Kills it (SIGKILL) and waits for its end.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.child.kill().context("cannot kill it")?;
        self.wait()
    }

    /// Stops it where it stands (SIGSTOP).
    ///
    /// # Errors
    /// When it has ended.
    pub fn pause(&mut self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Whether it stands still, by this or by its own hand.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn is_paused(&self) -> Result<bool> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name before it is in parentheses, and may hold any.
        let state = stat.rsplit_once(") ").context("a state")?.1;
        Ok(state.starts_with('T'))
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// When it has ended.
    pub fn resume(&mut self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Asks it to end in good order (SIGTERM).
    ///
    /// # Errors
    /// When it has ended.
    pub fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::SIGTERM)
    }

    /// How it ended; `None` while it runs, also while it is stopped.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("cannot ask for its end")
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.child.wait().context("cannot wait for its end")
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        // Asked before: the id of a process that has ended, and was waited for, may be another's.
        if let Some(status) = self.ended()? {
            bail!("it has ended with {status}");
        }
        let pid = Pid::from_raw(self.child.id().cast_signed());
        kill(pid, signal).with_context(|| format!("cannot send {signal}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

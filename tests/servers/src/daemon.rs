//! A process that may outlive us and is found again by its pid file.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, waitpid},
    },
    unistd::Pid,
};

/// How long between two looks at a process that we are not told about.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A process, known by its id and by when it began: the system hands out ids again.
#[derive(Debug)]
pub(crate) struct Daemon {
    pid: Pid,
    began: String,
    file: PathBuf,
}

impl Daemon {
    /// Starts it in a process group of its own, so that Ctrl-C in our terminal is not meant for it,
    /// and writes the pid file.
    pub(crate) fn spawn(mut command: Command, log: &Path, file: PathBuf) -> Result<Self> {
        let log =
            File::options().create(true).append(true).open(log).context("cannot open the log")?;
        command.stdout(log.try_clone()?).stderr(log).process_group(0);
        let program = command.get_program().to_owned();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", Path::new(&program).display()))?;
        let pid = Pid::from_raw(child.id().cast_signed());
        let daemon = Self { pid, began: began(pid).unwrap_or_default(), file };
        let written = fs::write(&daemon.file, format!("{pid}\n{}\n", daemon.began));
        if let Err(problem) = written {
            daemon.end(Signal::SIGKILL, Duration::MAX)?;
            return Err(problem).context("cannot write the pid file");
        }
        Ok(daemon)
    }

    /// The process that the pid file names, if that very process still runs.
    pub(crate) fn find(file: PathBuf) -> Option<Self> {
        let text = fs::read_to_string(&file).ok()?;
        let (pid, began) = text.trim_end().split_once('\n')?;
        let daemon = Self { pid: Pid::from_raw(pid.parse().ok()?), began: began.to_owned(), file };
        daemon.is_running().then_some(daemon)
    }

    pub(crate) fn id(&self) -> u32 {
        self.pid.as_raw().cast_unsigned()
    }

    pub(crate) fn is_running(&self) -> bool {
        // One that we started stays as a zombie until we ask for its end; others are not ours to ask.
        let _ = waitpid(self.pid, Some(WaitPidFlag::WNOHANG));
        began(self.pid).is_some_and(|began| began == self.began)
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        if self.is_running() {
            kill(self.pid, signal)
                .with_context(|| format!("cannot send {signal} to {}", self.pid))?;
        }
        Ok(())
    }

    /// Sends the signal and waits for the end; after the patience is over it is killed.
    pub(crate) fn end(&self, signal: Signal, patience: Duration) -> Result<()> {
        self.signal(signal)?;
        let asked = Instant::now();
        while self.is_running() {
            if asked.elapsed() > patience {
                self.signal(Signal::SIGKILL)?;
            }
            thread::sleep(LOOK_AGAIN);
        }
        fs::remove_file(&self.file).or_else(gone_is_fine).context("cannot remove the pid file")
    }

    /// Waits until the condition holds. An error when the process ends before, or takes too long.
    pub(crate) fn wait_until(
        &self,
        patience: Duration,
        mut holds: impl FnMut() -> bool,
    ) -> Result<()> {
        let began = Instant::now();
        while !holds() {
            if !self.is_running() {
                bail!("it ended by itself");
            }
            if began.elapsed() > patience {
                bail!("it was not ready within {} s", patience.as_secs());
            }
            thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }
}

fn gone_is_fine(problem: std::io::Error) -> std::io::Result<()> {
    if problem.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(problem) }
}

/// When the process began, in the system's own words; none for one that is gone or a zombie.
fn began(pid: Pid) -> Option<String> {
    if !Path::new("/proc/self/stat").exists() {
        let pid = pid.to_string();
        let output = Command::new("ps").args(["-o", "state=,lstart=", "-p", &pid]).output().ok()?;
        let line = String::from_utf8_lossy(&output.stdout).into_owned();
        let (state, began) = line.trim().split_once(' ')?;
        return (!state.starts_with('Z')).then(|| began.trim().to_owned());
    }
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name and may hold anything; the third is the state and
    // the twenty-second the start, in ticks since boot (proc(5)).
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (state != "Z" && state != "X").then(|| fields.nth(18).map(str::to_owned))?
}

//! One server: what all kinds of them have in common.

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;

use crate::{account::Account, daemon::Daemon, home::Home, say};

/// What differs from one kind of server to the next.
pub(crate) trait Kind: Sized {
    /// As in a sentence.
    const TITLE: &'static str;
    /// Who it prefers to run as when we are root.
    const USER: &'static str;
    /// How it is asked to stop in good order.
    const STOP: Signal;
    /// How long a start may take on a slow and busy machine.
    const PATIENCE: Duration;

    /// Finds its programs, or fetches them.
    fn find() -> Result<Self>;
    /// What must be there before each start: files in the data folder, the first time a new data folder.
    fn prepare(&self, home: &Home) -> Result<()>;
    /// The program in the foreground.
    fn command(&self, home: &Home) -> Result<Command>;
    /// Whether the process of this id takes its clients by now.
    fn is_ready(&self, home: &Home, pid: u32) -> bool;
    /// Where clients find it.
    fn url(&self, home: &Home) -> Result<String>;
    /// What a stop leaves behind, such as helper processes.
    fn clean_up(_home: &Home) -> Result<()> {
        Ok(())
    }
}

/// A running server. Dropping it ends it, except after [`leave_running`](Self::leave_running).
///
/// Everything of it lives in one folder; it listens on loopback only, on ports that were free when it first
/// started and stay the same when it starts again.
#[expect(private_bounds, reason = "what kinds there are is this crate's to know")]
pub struct Server<K: Kind> {
    kind: K,
    home: Home,
    url: String,
    process: Option<Daemon>,
    left_running: bool,
}

#[expect(private_bounds, reason = "what kinds there are is this crate's to know")]
impl<K: Kind> Server<K> {
    /// Starts a server in this folder, or takes over the one that runs there already. It ends when
    /// the value is dropped.
    ///
    /// # Errors
    /// When the server's programs are not there and cannot be fetched, or when it does not start; the
    /// message says what to do.
    pub fn start(folder: impl AsRef<Path>) -> Result<Self> {
        let home = Home::make(folder.as_ref(), Account::unprivileged(K::USER)?)?;
        // Two starts in one folder, from two tests or two terminals, are one after the other.
        let lock = File::create(home.folder().join("lock"))?;
        lock.lock().context("cannot lock the server's folder")?;
        let kind = K::find()?;
        let process = Daemon::find(home.folder().join("pid"));
        if process.is_none() {
            home.choose_ports_again()?;
        }
        let url = kind.url(&home)?;
        let mut server = Self { kind, home, url, process, left_running: false };
        if server.process.is_some() {
            match server.wait_until_ready() {
                Err(_) if server.running().is_err() => {
                    // Somebody was ending it.
                    server.end(K::STOP)?;
                    server.home.choose_ports_again()?;
                    server.url = server.kind.url(&server.home)?;
                }
                ready => return ready.map(|()| server),
            }
        }
        server.start_again()?;
        Ok(server)
    }

    /// Where clients find it, in the form that the adapters take.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The id of its main process; `None` while it is down.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Daemon::id)
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.home.folder()
    }

    /// Stops it in good order; nothing to do when it is down.
    ///
    /// # Errors
    /// When its process cannot be ended.
    pub fn stop(&mut self) -> Result<()> {
        self.end(K::STOP)
    }

    /// Kills its main process with SIGKILL, as the kernel does when memory runs out.
    ///
    /// # Errors
    /// When its process cannot be ended.
    pub fn kill(&mut self) -> Result<()> {
        self.end(Signal::SIGKILL)
    }

    /// Stops its main process where it stands (SIGSTOP): connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it is not running.
    pub fn pause(&self) -> Result<()> {
        self.running()?.signal(Signal::SIGSTOP)
    }

    /// Goes on after [`pause`](Self::pause).
    ///
    /// # Errors
    /// When it is not running.
    pub fn resume(&self) -> Result<()> {
        self.running()?.signal(Signal::SIGCONT)
    }

    /// Starts it after a stop or a kill, with the same data on the same ports, and waits until it is ready.
    ///
    /// # Errors
    /// When it runs, or does not come up; the message ends with the last lines of its log.
    pub fn start_again(&mut self) -> Result<()> {
        if self.process.is_some() {
            bail!("{} is running: stop it or kill it first", K::TITLE);
        }
        self.kind.prepare(&self.home)?;
        let command = self.kind.command(&self.home)?;
        let pid_file = self.home.folder().join("pid");
        self.process = Some(Daemon::spawn(command, &self.home.log(), pid_file)?);
        self.wait_until_ready()?;
        fs::write(self.home.folder().join("url"), &self.url).context("cannot write down the URL")
    }

    /// Lets it run on after this value, and after us; the answer is its URL.
    pub fn leave_running(mut self) -> String {
        self.left_running = true;
        self.url.clone()
    }

    /// Stops the server that runs in this folder, whoever started it; whether there was one.
    pub(crate) fn end_what_runs_in(folder: &Path) -> Result<bool> {
        let Some(process) = Daemon::find(folder.join("pid")) else { return Ok(false) };
        let home = Home::make(folder, Account::unprivileged(K::USER)?)?;
        end::<K>(&home, &process, K::STOP)?;
        Ok(true)
    }

    pub(crate) fn running(&self) -> Result<&Daemon> {
        let process = self.process.as_ref().filter(|process| process.is_running());
        process.with_context(|| format!("{} is not running", K::TITLE))
    }

    pub(crate) fn end(&mut self, signal: Signal) -> Result<()> {
        match self.process.take() {
            Some(process) => end::<K>(&self.home, &process, signal),
            None => Ok(()),
        }
    }

    pub(crate) fn kind(&self) -> &K {
        &self.kind
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    fn wait_until_ready(&self) -> Result<()> {
        let process = self.running()?;
        process
            .wait_until(K::PATIENCE, || self.kind.is_ready(&self.home, process.id()))
            .with_context(|| {
                let (log, last_words) = (self.home.log(), self.home.last_words());
                format!("{} did not start; the end of {}:\n{last_words}\n", K::TITLE, log.display())
            })
    }
}

fn end<K: Kind>(home: &Home, process: &Daemon, signal: Signal) -> Result<()> {
    let _ = fs::remove_file(home.folder().join("url"));
    // A paused one would not hear.
    process.signal(Signal::SIGCONT)?;
    process.end(signal, K::PATIENCE)?;
    K::clean_up(home)
}

impl<K: Kind> Drop for Server<K> {
    fn drop(&mut self) {
        if self.left_running {
            return;
        }
        if let Err(problem) = self.end(K::STOP) {
            say(&format!("{} could not be stopped: {problem:#}", K::TITLE));
        }
    }
}

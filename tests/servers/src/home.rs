//! The folder that holds everything of one server: data, log, process id, ports, URL.

use std::{
    collections::BTreeMap,
    env, fs,
    hash::{BuildHasher as _, DefaultHasher, Hash as _, Hasher as _, RandomState},
    net::{Ipv4Addr, TcpListener},
    ops::RangeInclusive,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::account::Account;

/// A server's folder and the account that its process runs as.
pub(crate) struct Home {
    folder: PathBuf,
    account: Account,
}

impl Home {
    /// The folder, made with a `data` folder in it that belongs to the account.
    pub(crate) fn make(folder: &Path, account: Account) -> Result<Self> {
        let folder = std::path::absolute(folder)?;
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let home = Self { folder, account };
        if !home.data().exists() {
            home.make_data()?;
        }
        Ok(home)
    }

    fn make_data(&self) -> Result<()> {
        let mut data = self.data();
        if !self.account.can_enter(&self.folder)? {
            // The server's user does not come through to here: the data lies where it does, and
            // `data` is a link. The name is the folder's own, so that the next start finds it.
            let mut hash = DefaultHasher::new();
            self.folder.hash(&mut hash);
            data = env::temp_dir().join(format!("steadfast-{:016x}", hash.finish()));
            let _ = fs::remove_file(self.data());
            symlink(&data, self.data()).context("cannot link the data folder")?;
        }
        fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
        self.account.own(&data)
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The server's own folder, as it is reached by the server's user.
    pub(crate) fn data(&self) -> PathBuf {
        let data = self.folder.join("data");
        fs::read_link(&data).unwrap_or(data)
    }

    /// What the server prints.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The port of this name. It is chosen free at first and then stays, so that a server that
    /// is started again is where it was.
    pub(crate) fn port(&self, name: &str) -> Result<u16> {
        let mut ports = self.ports();
        if let Some(port) = ports.get(name) {
            return Ok(*port);
        }
        let port = free_port()?;
        ports.insert(name.to_owned(), port);
        let lines: String = ports.iter().map(|(name, port)| format!("{name} {port}\n")).collect();
        fs::write(self.folder.join("ports"), lines).context("cannot write down the port")?;
        Ok(port)
    }

    /// Lets go of ports that others have taken since. Only while the server is down.
    pub(crate) fn choose_ports_again(&self) -> Result<()> {
        if self.ports().values().all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        {
            return Ok(());
        }
        fs::remove_file(self.folder.join("ports")).context("cannot forget the ports")
    }

    fn ports(&self) -> BTreeMap<String, u16> {
        ports_in(&self.folder)
    }

    /// The end of the log, for an error message.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

/// The ports that the server of this folder has chosen.
pub(crate) fn ports_in(folder: &Path) -> BTreeMap<String, u16> {
    let lines = fs::read_to_string(folder.join("ports")).unwrap_or_default();
    let port = |line: &str| {
        let (name, port) = line.split_once(' ')?;
        Some((name.to_owned(), port.parse().ok()?))
    };
    lines.lines().filter_map(port).collect()
}

/// Below the ports that systems give to outgoing connections: one of those could take the place of a
/// server that is down for a moment.
fn free_port() -> Result<u16> {
    const PORTS: RangeInclusive<u64> = 10_000..=29_999;
    const TRIES: u64 = 1000;
    let ports = PORTS.end() - PORTS.start() + 1;
    let random = RandomState::new();
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    (0..TRIES)
        .filter_map(|n| u16::try_from(PORTS.start() + random.hash_one(n) % ports).ok())
        .find(is_free)
        .context("no free port between 10000 and 29999")
}

//! PostgreSQL, durable as in production (`fsync` on), with `pg_stat_statements`.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;

use crate::{
    debian,
    home::Home,
    say,
    server::{Kind, Server},
};

/// A PostgreSQL server.
pub type Postgres = Server<PostgresKind>;

/// What PostgreSQL is started with.
#[derive(Debug)]
pub struct PostgresKind {
    /// The folder of `initdb` and `postgres`.
    programs: PathBuf,
}

impl Server<PostgresKind> {
    /// Ends it without a checkpoint and without a word to its clients, as `pg_ctl stop -m immediate`
    /// does: the next start has to recover from the write-ahead log.
    ///
    /// # Errors
    /// When its process cannot be ended.
    pub fn kill_immediately(&mut self) -> Result<()> {
        self.end(Signal::SIGQUIT)
    }

    /// Starts a copy of this server in another folder, whose contents are lost. It follows this one, and
    /// takes no writes until it is promoted (`select pg_promote()`).
    ///
    /// # Errors
    /// When it cannot be copied, or does not start.
    pub fn standby(&self, folder: impl AsRef<Path>) -> Result<Self> {
        Self::end_what_runs_in(folder.as_ref())?;
        let home = Home::make(folder.as_ref(), self.home().account().clone())?;
        let data = home.data();
        for entry in fs::read_dir(&data)? {
            let path = entry?.path();
            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }?;
        }
        // Where others may look, a server does not start.
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700))?;
        let mut copy = self.kind().command_of("pg_basebackup", &home);
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--dbname", self.url()]);
        finish(copy.arg("--pgdata").arg(data))?;
        Self::start(folder)
    }
}

/// Runs a program to its end.
fn finish(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_owned();
    let program = Path::new(&program).display();
    let ended = command.output().with_context(|| format!("cannot start {program}"))?;
    if !ended.status.success() {
        let words = String::from_utf8_lossy(&ended.stderr);
        bail!("{program} ended with {}:\n{words}", ended.status);
    }
    Ok(())
}

impl PostgresKind {
    fn command_of(&self, program: &str, home: &Home) -> Command {
        let mut command = home.account().command(self.programs.join(program));
        command.current_dir(home.data()).env("LC_ALL", "C.UTF-8");
        command
    }
}

/// Debian's folders by major version, newest first.
fn versions_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    versions.sort_unstable_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

impl Kind for PostgresKind {
    const TITLE: &'static str = "PostgreSQL";
    const USER: &'static str = "postgres";
    // Fast: clients are cut off, nothing is lost.
    const STOP: Signal = Signal::SIGINT;
    const PATIENCE: Duration = Duration::from_secs(120);

    /// The newest installed one; else Debian's, unpacked into the cache.
    fn find() -> Result<Self> {
        let mut folders: Vec<_> = env::var_os("PATH")
            .iter()
            .flat_map(env::split_paths)
            .filter_map(|folder| {
                Some(folder.join("postgres").canonicalize().ok()?.parent()?.to_owned())
            })
            .collect();
        folders.extend(versions_in(Path::new("/usr/lib/postgresql")));
        if let Some(programs) = folders.into_iter().find(|folder| folder.join("initdb").exists()) {
            return Ok(Self { programs });
        }
        let unpacked = debian::unpacked("bookworm", "postgresql-15").context(
            "PostgreSQL is not installed. Install it, for example with `dnf install postgresql-server \
             postgresql-contrib` or `brew install postgresql@17`, and see that `postgres` and `initdb` \
             are on the PATH",
        )?;
        Ok(Self { programs: unpacked.join("usr/lib/postgresql/15/bin") })
    }

    fn prepare(&self, home: &Home) -> Result<()> {
        if home.data().join("PG_VERSION").exists() {
            return Ok(());
        }
        say("PostgreSQL: making a new database cluster");
        let mut initdb = self.command_of("initdb", home);
        // Loopback only, for tests: whoever is on this machine may come in.
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]);
        initdb.arg("--pgdata").arg(home.data());
        finish(&mut initdb)
    }

    fn command(&self, home: &Home) -> Result<Command> {
        // Unix sockets have short names (107 bytes, unix(7)); clients come by TCP in any case.
        let data = home.data();
        let sockets = if data.as_os_str().len() < 80 { data.to_string_lossy() } else { "".into() };
        let mut command = self.command_of("postgres", home);
        command.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-p"]);
        command.arg(home.port("postgres")?.to_string()).arg("-k").arg(&*sockets);
        for setting in [
            "shared_preload_libraries=pg_stat_statements",
            "max_connections=300",
            "max_prepared_transactions=10",
            // Its output is the log of this server.
            "logging_collector=off",
        ] {
            command.args(["-c", setting]);
        }
        Ok(command)
    }

    /// The server says so on the eighth line of its lock file, which `pg_ctl` waits for too.
    fn is_ready(&self, home: &Home, pid: u32) -> bool {
        let text = fs::read_to_string(home.data().join("postmaster.pid")).unwrap_or_default();
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        // One that was killed leaves its file behind.
        lines.first() == Some(&pid.to_string().as_str()) && lines.get(7) == Some(&"ready")
    }

    fn url(&self, home: &Home) -> Result<String> {
        Ok(format!("postgres://postgres@127.0.0.1:{}/postgres", home.port("postgres")?))
    }
}

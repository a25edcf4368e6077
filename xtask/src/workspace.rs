//! The checkout that the steps run in, and how they start cargo there.

use std::{
    env,
    ffi::OsString,
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// Where the checkout is, which cargo serves it and where that cargo builds.
pub(crate) struct Workspace {
    root: PathBuf,
    target_dir: Option<PathBuf>,
    cargo: OsString,
    long: bool,
    variables: Vec<(&'static str, String)>,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self> {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has no parent folder")?;
        // Steps run in the root, the caller may stand elsewhere: a relative folder is meant from there.
        let target_dir = env::var_os("CARGO_TARGET_DIR")
            .map(std::path::absolute)
            .transpose()
            .context("CARGO_TARGET_DIR")?;
        Ok(Self {
            root: root.to_owned(),
            target_dir,
            cargo: env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
            long: false,
            variables: Vec::new(),
        })
    }

    pub(crate) fn with_long_tests(self, long: bool) -> Self {
        Self { long, ..self }
    }

    /// Sets a variable for every command from now on.
    pub(crate) fn set_variable(&mut self, name: &'static str, value: String) {
        self.variables.push((name, value));
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn target_dir(&self) -> PathBuf {
        let default = || self.root.join("target");
        self.target_dir.clone().unwrap_or_else(default)
    }

    /// The cargo that runs this program, in the root, building in the one target folder.
    pub(crate) fn cargo<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.command(&self.cargo);
        command.args(args);
        command
    }

    /// Like [`cargo`](Self::cargo), for tests.
    pub(crate) fn cargo_test<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.cargo(args);
        if self.long {
            command.env("STEADFAST_LONG", "1");
        }
        command
    }

    /// Any other program, in the root; `cargo` means [`cargo`](Self::cargo).
    pub(crate) fn command(&self, program: impl Into<OsString>) -> Command {
        let program = program.into();
        let program = if program == "cargo" { self.cargo.clone() } else { program };
        let mut command = Command::new(program);
        command.current_dir(&self.root).stdin(Stdio::null());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some(target_dir) = &self.target_dir {
            command.env("CARGO_TARGET_DIR", target_dir);
        }
        // `cargo run` describes xtask in these. Build scripts that watch them (ring's does) would run
        // again at each change between this command and a plain `cargo build`.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(name);
            }
        }
        command
    }
}

/// Runs to the end, output straight to ours; anything but success is an error.
pub(crate) fn run(mut command: Command) -> Result<()> {
    let shown = show(&command);
    println!("    $ {shown}");
    let status = command.status().with_context(|| format!("cannot start `{shown}`"))?;
    succeeded(&shown, status)
}

/// Like [`run`], but `line` also sees every line of standard output as it passes.
pub(crate) fn run_watched(mut command: Command, mut line: impl FnMut(&str)) -> Result<()> {
    let shown = show(&command);
    println!("    $ {shown}");
    // One pipe for both streams: what cargo says stands between what the tests say.
    let (reader, writer) = io::pipe().context("cannot make a pipe")?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().with_context(|| format!("cannot start `{shown}`"))?;
    // It holds the writing end, without which the reading end would never see the end.
    drop(command);
    let mut output = BufReader::new(reader);
    let mut bytes = Vec::new();
    while output.read_until(b'\n', &mut bytes)? > 0 {
        io::stdout().write_all(&bytes)?;
        line(String::from_utf8_lossy(&bytes).trim_end());
        bytes.clear();
    }
    succeeded(&shown, child.wait()?)
}

/// The command as one would type it.
fn show(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    let words = [program].into_iter().chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

fn succeeded(shown: &str, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

//! What the figures were measured on.

use std::{fmt, fs, process::Command, thread};

use crate::workspace::Workspace;

/// The processor, the system and the compiler.
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    system: String,
    compiler: String,
}

impl Machine {
    /// What cannot be found out is said to be unknown.
    pub(crate) fn look(workspace: &Workspace) -> Self {
        Self {
            processor: processor().unwrap_or_else(unknown),
            cores: thread::available_parallelism().map_or(0, usize::from),
            system: first_line(workspace.command("uname").args(["-s", "-r", "-m"])),
            compiler: first_line(workspace.command("rustc").arg("--version")),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, cores, system, compiler } = self;
        write!(f, "Measured on: {processor}, {cores} cores, {system}, {compiler}.")
    }
}

/// The first line that a program prints.
pub(super) fn first_line(command: &mut Command) -> String {
    let output = command.output().ok().filter(|output| output.status.success());
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.and_then(|text| Some(text.lines().next()?.to_owned())).unwrap_or_else(unknown)
}

fn processor() -> Option<String> {
    let known = fs::read_to_string("/proc/cpuinfo").ok()?;
    let name = known.lines().find_map(|line| line.strip_prefix("model name"))?;
    Some(name.trim_start_matches(['\t', ' ', ':']).to_owned())
}

fn unknown() -> String {
    "unknown".to_owned()
}

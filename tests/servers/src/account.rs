//! The user that a server runs as: ourselves, or an unprivileged one when we are root.

use std::{
    os::unix::{fs::chown, process::CommandExt as _},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};
use nix::unistd::{User, geteuid};

/// Who a server runs as. Some, PostgreSQL among them, refuse to run as root.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// The user to change to; none when we are not root and stay who we are.
    other: Option<User>,
}

impl Account {
    /// Ourselves, unless we are root: then the named user, or `nobody` where there is no such user.
    pub(crate) fn unprivileged(name: &str) -> Result<Self> {
        if !geteuid().is_root() {
            return Ok(Self { other: None });
        }
        for name in [name, "nobody"] {
            if let Some(user) = User::from_name(name).context("cannot read the list of users")? {
                return Ok(Self { other: Some(user) });
            }
        }
        anyhow::bail!(
            "servers do not run as root, and there is neither a user `{name}` nor `nobody`"
        )
    }

    /// A command that will run as this user.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        if let Some(User { uid, gid, .. }) = &self.other {
            command.uid(uid.as_raw()).gid(gid.as_raw());
        }
        command.stdin(Stdio::null());
        command
    }

    /// Gives the file or folder to this user.
    pub(crate) fn own(&self, path: &Path) -> Result<()> {
        let Some(User { uid, gid, name, .. }) = &self.other else { return Ok(()) };
        chown(path, Some(uid.as_raw()), Some(gid.as_raw()))
            .with_context(|| format!("cannot give {} to the user {name}", path.display()))
    }

    /// Whether this user can reach what is in the folder: a checkout below `/root` it cannot.
    pub(crate) fn can_enter(&self, folder: &Path) -> Result<bool> {
        let mut look = self.command("/bin/sh");
        look.args(["-c", "cd -- \"$1\"", "sh"]).arg(folder).stderr(Stdio::null());
        Ok(look.status().context("cannot start /bin/sh")?.success())
    }
}

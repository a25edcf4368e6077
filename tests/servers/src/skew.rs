//! A child program whose clock is wrong.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::debian;

/// Lets the command see a wall clock that is this many seconds ahead of the machine's, or behind it.
/// Its monotonic clock, which measures how long something takes, stays right.
///
/// # Errors
/// When libfaketime is not there and cannot be fetched.
pub fn skew_clock(command: &mut Command, seconds: i32) -> Result<()> {
    command.env("LD_PRELOAD", libfaketime()?);
    command.env("FAKETIME", format!("{seconds:+}s"));
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Ok(())
}

fn libfaketime() -> Result<PathBuf> {
    let library =
        format!("usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1", std::env::consts::ARCH);
    let unpacked = debian::unpacked("bookworm", "libfaketime")
        .context("clocks are skewed by libfaketime, which comes from Debian's packages")?;
    Ok(unpacked.join(library))
}

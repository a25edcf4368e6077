//! What compiles, and what the compiler says about what does not.
//!
//! The messages of the compiler change with its version, so they are compared on one only. To take
//! up a new one: set `PINNED`, run with `TRYBUILD=overwrite`, and read the difference.

use std::{
    io::{Write as _, stderr},
    process::Command,
};

const PINNED: &str = "1.95";

#[test]
fn every_option_and_every_shape_compiles() {
    trybuild::TestCases::new().pass("tests/ui/pass/*.rs");
}

#[test]
fn every_mistake_is_refused_where_it_stands_with_its_fix() {
    let version = rustc_version();
    if version.starts_with(&format!("rustc {PINNED}.")) {
        trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
        return;
    }
    // Straight to the terminal: what a passing test prints is not shown.
    let skipped = writeln!(
        stderr(),
        "\nSKIPPED: the compiler messages in tests/ui/fail were not compared, because they are \
         those of rustc {PINNED} and this is {version}"
    );
    skipped.expect("standard error takes text");
}

fn rustc_version() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().expect("rustc runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

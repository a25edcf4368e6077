//! What compiles, and what the compiler says about what does not.
//!
//! The messages of the compiler change with its version, so they are those of the one in
//! `rust-toolchain.toml`. To take up a new one: name it there, run with `TRYBUILD=overwrite`, and
//! read the difference.

use std::process::Command;

#[test]
fn every_option_and_every_shape_compiles() {
    trybuild::TestCases::new().pass("tests/ui/pass/*.rs");
}

#[test]
fn every_mistake_is_refused_where_it_stands_with_its_fix() {
    let (pinned, compiler) = (pinned(), compiler());
    assert!(
        compiler.starts_with(&format!("rustc {pinned} ")),
        "the messages in tests/ui/fail are those of rustc {pinned}, which rust-toolchain.toml \
         names, and this is {compiler}: run with the toolchain {pinned}"
    );
    trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
}

fn pinned() -> &'static str {
    let toolchain = include_str!("../../rust-toolchain.toml");
    let channel = toolchain.lines().find_map(|line| line.strip_prefix("channel = "));
    channel.expect("a channel").trim_matches('"')
}

fn compiler() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().expect("rustc runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

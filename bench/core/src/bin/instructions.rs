//! Runs one case. Under callgrind, what happens in `measured` is counted.

use bench_core::{Case, measured};
use clap::Parser;

/// Runs one case, for callgrind to count its instructions
#[derive(Parser)]
struct Args {
    case: Case,
    messages: usize,
}

fn main() {
    let Args { case, messages } = Args::parse();
    let mut prepared = case.prepare(messages);
    measured(&mut || prepared.drain());
}

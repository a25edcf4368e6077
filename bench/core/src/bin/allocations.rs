//! Runs one case and prints how many blocks of memory it asked for.

use bench_core::{Case, measured};
use clap::Parser;

/// Runs one case and prints its allocations, reallocations included
#[derive(Parser)]
struct Args {
    case: Case,
    messages: usize,
}

fn main() {
    let Args { case, messages } = Args::parse();
    let mut prepared = case.prepare(messages);
    let counted = allocation_counter::measure(|| measured(&mut || prepared.drain()));
    println!("{}", counted.count_total);
}

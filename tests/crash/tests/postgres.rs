//! Consumers with PostgreSQL as their memory, killed and stopped, on the mock broker.

use std::{env, path::PathBuf};

use steadfast_crash::{Action, Blow, Plan, Suite};
use steadfast_test_servers::{Postgres, postgres_url};

fn suite() -> Suite {
    Suite { worker: env!("CARGO_BIN_EXE_crash-worker"), plan: Plan::new(&postgres_url(), "mock") }
}

#[test]
fn every_point_survives_a_kill_and_a_stop() {
    suite().every_point();
}

/// Thousands of rounds with STEADFAST_LONG=1.
#[test]
fn random_kills_and_stops_lose_nothing_and_double_nothing() {
    let long = env::var_os("STEADFAST_LONG").is_some_and(|long| long == "1");
    suite().random(if long { 2000 } else { 40 });
}

#[test]
fn a_database_that_is_killed_loses_nothing_and_doubles_nothing() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("crash-postgres");
    let mut database = Postgres::start(folder).expect("it starts");
    let mut suite = suite();
    suite.plan.store = database.url().to_owned();
    let mut kill = || {
        database.kill_immediately()?;
        database.start_again()
    };
    let blows =
        [(100, Blow::Around(0)), (300, Blow::Worker(1, Action::Kill)), (500, Blow::Around(0))];
    suite.struck(&blows, &mut [&mut kill]);
}

#[test]
fn poison_is_dead_lettered_after_its_attempts() {
    suite().poison();
}

#[test]
fn skewed_clocks_double_nothing() {
    suite().skewed_clocks();
}

//! Consumers on Kafka with PostgreSQL as their memory, killed and stopped.

use std::{env, path::PathBuf, thread::sleep, time::Duration};

use steadfast_crash::{Action, Blow, Plan, Suite};
use steadfast_test_servers::{Kafka, Proxy, kafka, postgres_url};
use tokio::runtime::Runtime;

fn suite(servers: &str) -> Suite {
    let plan = Plan::new(&postgres_url(), &format!("kafka://{servers}"));
    Suite { worker: env!("CARGO_BIN_EXE_crash-worker"), plan }
}

/// Hundreds of rounds with STEADFAST_LONG=1. Each kill and each stop beyond the session timeout is a
/// rebalance, which the next one may meet.
#[test]
fn random_kills_and_stops_lose_double_and_disorder_nothing() {
    let long = env::var_os("STEADFAST_LONG").is_some_and(|long| long == "1");
    suite(&kafka()).random(if long { 300 } else { 24 });
}

/// Every second kill falls while the broker says that the group makes room for the member that was killed
/// before.
#[test]
fn kills_during_rebalances_lose_double_and_disorder_nothing() {
    let blows =
        [100, 250, 400, 550].map(|after| (after, Blow::Rebalance(after % 3, (after + 1) % 3)));
    suite(&kafka()).struck(&blows, &mut []);
}

#[test]
fn poison_is_dead_lettered_after_its_attempts_as_it_was_published() {
    suite(&kafka()).poison();
}

fn server(name: &str) -> Kafka {
    Kafka::start(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)).expect("it starts")
}

#[test]
fn a_server_that_is_killed_under_load_loses_doubles_and_disorders_nothing() {
    let mut server = server("crash-kafka");
    let suite = suite(server.url());
    let mut kill = || {
        server.kill()?;
        server.start_again()
    };
    let blows =
        [(100, Blow::Around(0)), (300, Blow::Worker(1, Action::Kill)), (500, Blow::Around(0))];
    suite.struck(&blows, &mut [&mut kill]);
}

/// The network between the workers and the server: cut again and again, and mute for longer than the
/// session timeout. A worker is killed while it recovers.
#[test]
fn a_failing_network_loses_doubles_and_disorders_nothing() {
    let server = server("crash-kafka-network");
    let runtime = Runtime::new().expect("a runtime");
    let (front, behind) = server.behind_a_proxy().expect("ports");
    let proxy = runtime.block_on(Proxy::listen(front, behind)).expect("the port is free");
    let suite = suite(&front.to_string());
    let mut cut = || {
        for _ in 0..20 {
            proxy.cut();
            sleep(Duration::from_millis(50));
        }
        Ok(())
    };
    let mut stall = || {
        proxy.stall();
        sleep(Duration::from_secs(4));
        proxy.pass();
        Ok(())
    };
    let blows = [
        (100, Blow::Around(0)),
        (250, Blow::Around(1)),
        (260, Blow::Worker(1, Action::Kill)),
        (500, Blow::Around(0)),
    ];
    suite.struck(&blows, &mut [&mut cut, &mut stall]);
}

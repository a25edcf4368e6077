//! Messages of which some have been done.

use anyhow::Result;
use bench_measure::{progress, sample};

use crate::{
    inbox::{ByHand, Inbox, Key, Ours},
    load,
    server::Server,
    throughput::CONNECTIONS,
};

const ROUNDS: usize = 5;
const IN_FLIGHT: usize = 64;

/// Keys that have been done before.
const DONE: usize = 10_000;

#[derive(Clone, Copy)]
enum Mix {
    New,
    Half,
    OneKey,
}

const MIXES: [(&str, Mix); 3] = [
    ("no duplicates", Mix::New),
    ("every second is a duplicate", Mix::Half),
    ("all of one key", Mix::OneKey),
];

pub(crate) async fn run(server: &Server) -> Result<()> {
    let scratch = server.scratch().await?;
    let ours = Ours::new(&scratch)?;
    let by_hand = ByHand::new(server.pool(&scratch, CONNECTIONS)?).await?;
    let done: Vec<Key> = (0..DONE).map(|_| rand::random()).collect();
    let done: &'static [Key] = done.leak();
    finish(&ours, done).await?;
    finish(&by_hand, done).await?;
    server.counters()?.checkpoint().await?;
    for round in 1..=ROUNDS {
        progress(&format!("duplicates, round {round} of {ROUNDS}"));
        for (row, mix) in MIXES {
            let rate = measure(&ours, mix, done).await?;
            let rate_by_hand = measure(&by_hand, mix, done).await?;
            sample(row, "steadfast: messages/s", rate);
            sample(row, "one row at a time: messages/s", rate_by_hand);
            sample(row, "times as many", rate / rate_by_hand);
        }
    }
    Ok(())
}

async fn finish(inbox: &impl Inbox, keys: &'static [Key]) -> Result<()> {
    let inbox = inbox.clone();
    load::count(IN_FLIGHT, keys.len(), move |index| {
        let inbox = inbox.clone();
        async move { inbox.message(keys[index]).await.map(drop) }
    })
    .await?;
    Ok(())
}

async fn measure(inbox: &impl Inbox, mix: Mix, done: &'static [Key]) -> Result<f64> {
    let inbox = inbox.clone();
    let message = move || {
        let inbox = inbox.clone();
        let key = match mix {
            Mix::Half if rand::random() => done[usize::from(rand::random::<u16>()) % DONE],
            Mix::New | Mix::Half => rand::random(),
            Mix::OneKey => done[0],
        };
        async move { inbox.message(key).await.map(drop) }
    };
    Ok(load::run(IN_FLIGHT, message).await?.rate)
}

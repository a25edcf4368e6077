//! Claims and completions a second, and statements a message.

use anyhow::Result;
use bench_measure::{progress, sample};

use crate::{
    inbox::{ByHand, Inbox, Ours},
    load,
    server::{Counters, Server},
};

const ROUNDS: usize = 5;

pub(crate) const IN_FLIGHT: [usize; 4] = [1, 8, 64, 512];

/// Connections of the inbox by hand: more made it slower on two cores.
pub(crate) const CONNECTIONS: u32 = 32;

pub(crate) async fn run(server: &Server) -> Result<()> {
    let scratch = server.scratch().await?;
    let ours = Ours::new(&scratch)?;
    let by_hand = ByHand::new(server.pool(&scratch, CONNECTIONS)?).await?;
    let counters = server.counters()?;
    counters.checkpoint().await?;
    for round in 1..=ROUNDS {
        progress(&format!("throughput, round {round} of {ROUNDS}"));
        for in_flight in IN_FLIGHT {
            let row = format!("{in_flight} in flight");
            let (rate, statements) = measure(&counters, &ours, in_flight).await?;
            let (rate_by_hand, statements_by_hand) =
                measure(&counters, &by_hand, in_flight).await?;
            sample(&row, "steadfast: messages/s", rate);
            sample(&row, "one row at a time: messages/s", rate_by_hand);
            sample(&row, "times as many", rate / rate_by_hand);
            sample(&row, "steadfast: statements a message", statements);
            sample(&row, "one row at a time: statements", statements_by_hand);
        }
    }
    Ok(())
}

async fn measure(counters: &Counters, inbox: &impl Inbox, in_flight: usize) -> Result<(f64, f64)> {
    counters.forget_statements().await?;
    let inbox = inbox.clone();
    let done = load::run(in_flight, move || {
        let inbox = inbox.clone();
        async move { inbox.message(rand::random()).await.map(drop) }
    })
    .await?;
    Ok((done.rate, counters.statements().await? / done.messages))
}

//! Handlers that write in the lent transaction.

use anyhow::Result;
use bench_measure::{progress, sample};

use crate::{
    inbox::{ByHand, Inbox, Ours},
    load,
    server::{Counters, Server},
};

const ROUNDS: usize = 5;

/// As many as may be in flight, on both sides.
pub(crate) const CONNECTIONS: u32 = 64;

pub(crate) async fn run(server: &Server) -> Result<()> {
    let scratch = server.scratch().await?;
    let ours = Ours::new(&scratch)?;
    let by_hand = ByHand::new(server.pool(&scratch, CONNECTIONS)?).await?;
    let counters = server.counters()?;
    counters.checkpoint().await?;
    for round in 1..=ROUNDS {
        progress(&format!("lent transactions, round {round} of {ROUNDS}"));
        for in_flight in [1, 8, 64] {
            let row = format!("{in_flight} in flight");
            let (rate, statements) = measure(&counters, &ours, in_flight).await?;
            let (rate_by_hand, statements_by_hand) =
                measure(&counters, &by_hand, in_flight).await?;
            sample(&row, "steadfast: messages/s", rate);
            sample(&row, "by hand: messages/s", rate_by_hand);
            sample(&row, "steadfast by hand", rate / rate_by_hand);
            sample(&row, "steadfast: statements a message", statements);
            sample(&row, "by hand: statements", statements_by_hand);
        }
    }
    Ok(())
}

async fn measure(counters: &Counters, inbox: &impl Inbox, in_flight: usize) -> Result<(f64, f64)> {
    counters.forget_statements().await?;
    let inbox = inbox.clone();
    let done = load::run(in_flight, move || {
        let inbox = inbox.clone();
        async move { inbox.effect(rand::random()).await }
    })
    .await?;
    Ok((done.rate, counters.statements().await? / done.messages))
}

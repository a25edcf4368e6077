//! Lanes: connections for records, and what is asked of them in groups.
//!
//! A lane that is free takes what waits, as one statement. So there is no timer: at low load a group has one
//! row and waits for nothing; under load, when all are busy, it has hundreds.
//!
//! Nobody cancels a lane. A caller that goes away leaves its row behind: a write is made all the same,
//! and a claim that is granted to nobody is given back.

mod claims;
mod queue;
mod wire;
mod writes;

use std::sync::Arc;

use steadfast::store::{Answer, Claim, StoreError, Written};
use tokio::sync::oneshot;

use self::{
    claims::Answered,
    queue::{Call, Queue, Rows},
};
pub(crate) use self::{
    claims::history,
    wire::{DEADLINE, Wire},
    writes::{Ending, Write, uuid},
};

/// The way into the lanes.
pub(crate) struct Lanes(Arc<Queue>);

impl Lanes {
    /// Starts a lane on each wire. They end when this is dropped and nothing waits any more.
    pub(crate) fn start(wires: Vec<Wire>) -> Self {
        let queue = Arc::new(Queue::new(wires.len()));
        for wire in wires {
            tokio::spawn(run(wire, Lane(Arc::clone(&queue))));
        }
        Self(queue)
    }

    pub(crate) async fn claim(&self, claim: &Claim) -> Result<Answer, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.0.put(Call::Claim(claims::Asked::new(claim.clone(), reply)));
        answer.await.map_err(|_| gone())?.map(Answered::take)
    }

    pub(crate) async fn write(&self, write: Write) -> Result<Written, StoreError> {
        let (reply, written) = oneshot::channel();
        self.0.put(Call::Write(writes::Asked::new(write, Some(reply))));
        written.await.map_err(|_| gone())?
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The runtime on which the store was connected has been shut down.
fn gone() -> StoreError {
    StoreError::unavailable("the store's runtime was shut down")
}

/// A lane at work, which says so when it ends.
struct Lane(Arc<Queue>);

impl Drop for Lane {
    fn drop(&mut self) {
        self.0.lane_ended();
    }
}

async fn run(mut wire: Wire, lane: Lane) {
    let mut look_first = false;
    while let Some((rows, under_way)) = lane.0.next().await {
        match rows {
            Rows::Claims(rows) => {
                claims::send(rows, &mut wire, &lane.0, &mut look_first).await;
            }
            Rows::Writes(rows) => writes::send(rows, &mut wire).await,
        }
        // Not before the answers: what nobody took is given back before anybody asks for it again.
        drop(under_way);
    }
}

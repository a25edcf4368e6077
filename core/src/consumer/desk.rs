//! Where deliveries leave: from an outcome to a settlement.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;

use super::{
    batch::Leaving,
    flights::Flight,
    lanes::{GoingBack, Lanes},
};
use crate::{
    Cancelled, Outcome,
    broker::{Settle, Settlement},
};

/// Hands deliveries from the lanes to the workers, and from the workers to the settler. What it
/// hands over is bounded by the flights.
pub(crate) struct Desk {
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) leaving: UnboundedSender<Leaving>,
}

impl Desk {
    /// Sends a delivery out by its outcome. In a lane, what stands behind one that did not end goes
    /// back with it.
    pub(crate) fn leave(&self, flight: Flight, outcome: &Outcome) {
        let settlement = settlement(outcome);
        if settlement == Settlement::Ack {
            self.lanes.advance(&flight);
            self.send(flight, settlement, None);
            return;
        }
        let mut settlement = settlement;
        for (flight, going_back) in self.lanes.turn_back(flight) {
            self.send(flight, settlement, going_back);
            settlement = Settlement::Release;
        }
    }

    /// Gives back a delivery that has not started.
    pub(crate) fn turn_away(&self, flight: Flight) {
        let (flight, going_back) = self.lanes.turn_away(flight);
        self.send(flight, Settlement::Release, going_back);
    }

    /// Gives back everything that has not started.
    pub(crate) fn close(&self) {
        for flight in self.lanes.close() {
            flight.delivery.cancellation().trip(Cancelled::Shutdown);
            self.turn_away(flight);
        }
    }

    fn send(&self, flight: Flight, settlement: Settlement, going_back: Option<GoingBack>) {
        let Flight { delivery, permit } = flight;
        let settle = Settle::new(delivery, settlement);
        // The settler ends only after everybody who could send; then the process ends anyway.
        let _ = self.leaving.send(Leaving::new(settle, permit, going_back));
    }
}

fn settlement(outcome: &Outcome) -> Settlement {
    match outcome {
        Outcome::Done | Outcome::Duplicate(_) | Outcome::Ignored | Outcome::DeadLettered(_) => {
            Settlement::Ack
        }
        Outcome::Retry { after, .. } => Settlement::Requeue { delay: *after, counted: true },
        Outcome::Release { after: Some(after), .. } => {
            Settlement::Requeue { delay: *after, counted: false }
        }
        // The boundary lets neither of the last two out; what is not confirmed is never acked.
        Outcome::Release { after: None, .. } | Outcome::Failed(_) | Outcome::Reject { .. } => {
            Settlement::Release
        }
    }
}

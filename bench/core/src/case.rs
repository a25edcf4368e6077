//! What is counted, by name.

use std::{future::Future, hint::black_box, pin::Pin};

use bytes::Bytes;
use clap::ValueEnum;
use serde::de::DeserializeOwned;
use steadfast::store::Digest;
use tokio::runtime::{Builder, Runtime};

use crate::{
    peer::{self, Service},
    shop::{self, Invoice, Order},
    stack::{self, Book, Forgetful, Setup, Ship},
};

/// One kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// The decoder alone, on orders: what no stack can save
    DecodeSmall,
    /// The decoder alone, on invoices of 1 kB
    DecodeKilobyte,
    /// The digest of the payload alone, on orders
    DigestSmall,
    /// The digest of the payload alone, on invoices of 1 kB
    DigestKilobyte,
    /// Orders, all new to the store
    Small,
    /// Invoices of 1 kB, all new to the store
    Kilobyte,
    /// Orders, through one layer of the user's
    OneLayer,
    /// Orders, through four layers of the user's
    FourLayers,
    /// Invoices of 1 kB, through one layer of the user's
    KilobyteOneLayer,
    /// Invoices of 1 kB, through four layers of the user's
    KilobyteFourLayers,
    /// Orders, every second of which fails once
    Retry,
    /// The same order again and again, done the first time
    Duplicate,
    /// Orders, without a store
    NoStore,
    /// Orders, without a store, one at a time, as all that follow
    Serial,
    /// Invoices of 1 kB
    SerialKilobyte,
    /// Orders, through one layer of the user's
    SerialOneLayer,
    /// Orders, through four layers of the user's
    SerialFourLayers,
    /// Orders, every second of which fails once
    SerialRetry,
    /// The peer: orders, one at a time
    PeerSmall,
    /// The peer: orders, sixteen at a time
    PeerSixteen,
    /// The peer: invoices of 1 kB, one at a time
    PeerKilobyte,
    /// The peer: orders, through one layer of the user's
    PeerOneLayer,
    /// The peer: orders, through four layers of the user's
    PeerFourLayers,
    /// The peer: orders, the first half of which fail once
    PeerRetry,
}

/// A consumer that waits in front of a full queue.
pub struct Prepared {
    runtime: Runtime,
    empty: Pin<Box<dyn Future<Output = ()>>>,
}

impl Case {
    /// Starts what consumes, and fills its queue.
    ///
    /// # Panics
    /// When the consumer does not start.
    #[must_use]
    pub fn prepare(self, messages: usize) -> Prepared {
        // One thread, and where messages wait a clock that goes on only when nothing else can be done, so
        // that there is one order in which things happen.
        let waits = matches!(self, Self::Retry | Self::SerialRetry | Self::PeerRetry);
        let runtime = Builder::new_current_thread().enable_all().start_paused(waits).build();
        let runtime = runtime.expect("a runtime");
        let orders = || (0..messages).map(shop::order).collect::<Vec<_>>();
        let invoices = || (0..messages).map(shop::invoice).collect::<Vec<_>>();
        let store = Setup { stores: true, ..Setup::default() };
        let serial = Setup { one_at_a_time: true, ..Setup::default() };
        let through = |layers, setup| Setup { layers, ..setup };
        let ship = Ship { flaky: waits };
        match self {
            Self::DecodeSmall => alone(runtime, orders(), decode::<Order>),
            Self::DecodeKilobyte => alone(runtime, invoices(), decode::<Invoice>),
            Self::DigestSmall => alone(runtime, orders(), digest),
            Self::DigestKilobyte => alone(runtime, invoices(), digest),
            Self::Small | Self::Retry => stack::prepare(runtime, ship, store, orders()),
            Self::OneLayer => stack::prepare(runtime, ship, through(1, store), orders()),
            Self::FourLayers => stack::prepare(runtime, ship, through(4, store), orders()),
            Self::Kilobyte => stack::prepare(runtime, Book, store, invoices()),
            Self::KilobyteOneLayer => stack::prepare(runtime, Book, through(1, store), invoices()),
            Self::KilobyteFourLayers => {
                stack::prepare(runtime, Book, through(4, store), invoices())
            }
            Self::Duplicate => stack::prepare(runtime, ship, store, vec![shop::order(0); messages]),
            Self::NoStore => stack::prepare(runtime, Forgetful(ship), Setup::default(), orders()),
            Self::Serial | Self::SerialRetry => {
                stack::prepare(runtime, Forgetful(ship), serial, orders())
            }
            Self::SerialKilobyte => stack::prepare(runtime, Forgetful(Book), serial, invoices()),
            Self::SerialOneLayer => {
                stack::prepare(runtime, Forgetful(ship), through(1, serial), orders())
            }
            Self::SerialFourLayers => {
                stack::prepare(runtime, Forgetful(ship), through(4, serial), orders())
            }
            Self::PeerSmall => peer::prepare(runtime, Service::Ship, &orders()),
            Self::PeerSixteen => peer::prepare(runtime, Service::ShipSixteen, &orders()),
            Self::PeerKilobyte => peer::prepare(runtime, Service::Book, &invoices()),
            Self::PeerOneLayer => peer::prepare(runtime, Service::OneLayer, &orders()),
            Self::PeerFourLayers => peer::prepare(runtime, Service::FourLayers, &orders()),
            Self::PeerRetry => peer::prepare(runtime, Service::ShipFlaky, &orders()),
        }
    }
}

impl Prepared {
    pub(crate) fn new(runtime: Runtime, empty: impl Future<Output = ()> + 'static) -> Self {
        Self { runtime, empty: Box::pin(empty) }
    }

    /// Runs until the queue is empty and everything is settled.
    pub fn drain(&mut self) {
        self.runtime.block_on(&mut self.empty);
    }
}

/// One step for each payload, with nothing around it.
fn alone(runtime: Runtime, payloads: Vec<Bytes>, step: fn(&Bytes)) -> Prepared {
    Prepared::new(runtime, async move { payloads.iter().for_each(step) })
}

fn decode<M: DeserializeOwned>(payload: &Bytes) {
    black_box(serde_json::from_slice::<M>(payload).expect("a message decodes"));
}

fn digest(payload: &Bytes) {
    black_box(Digest::of(Some(payload)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_comes_to_its_end() {
        for case in Case::value_variants() {
            case.prepare(50).drain();
        }
    }
}

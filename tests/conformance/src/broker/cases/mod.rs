//! The cases, one topic a file, and the one list of them.
//!
//! A case is an `async fn` that takes a harness and panics when the broker breaks the rule that its
//! name states. A new one goes into the file of its topic and into `list.rs`.

#![allow(missing_docs, reason = "the name of a case is the sentence that it proves")]

pub mod backlog;
pub mod bounds;
pub mod consume;
pub mod content;
pub mod crash;
pub mod dead_letter;
pub mod delay;
pub mod deliver;
pub mod down;
pub mod drain;
pub mod duplicates;
pub mod hold;
pub mod in_flight;
pub mod keys;
pub mod order;
pub mod outage;
pub mod publish;
pub mod receipts;
pub mod redrive;
pub mod resume;
pub mod retry;
pub mod settle;
pub mod start;
pub mod storm;

mod list;

use futures::{FutureExt as _, future::LocalBoxFuture};

use super::{BrokerHarness, Proof, Verdict};

/// A case by its name, for programs that run the suite themselves. Tests call
/// [`broker_suite!`](crate::broker_suite).
#[derive(Clone, Copy)]
pub struct Case {
    topic: &'static str,
    name: &'static str,
    run: for<'h> fn(&'h dyn BrokerHarness) -> LocalBoxFuture<'h, Proof>,
}

impl Case {
    /// The topic that it belongs to: a module here.
    pub fn topic(&self) -> &'static str {
        self.topic
    }

    /// The rule that it proves.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs it.
    ///
    /// # Panics
    /// When the broker breaks the rule.
    pub async fn run(&self, harness: &dyn BrokerHarness) -> Verdict {
        (self.run)(harness).await.into()
    }
}

/// All cases.
pub fn all() -> Vec<Case> {
    crate::__for_each_broker_case! { __broker_cases () }
}

#[doc(hidden)]
#[macro_export]
macro_rules! __broker_cases {
    ([()] $($topic:ident { $($case:ident)* })*) => {
        vec![$($(Case {
            topic: stringify!($topic),
            name: stringify!($case),
            run: |harness| $topic::$case(harness).boxed_local(),
        },)*)*]
    };
}

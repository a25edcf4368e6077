//! The cases, one topic a file, and the one list of them.
//!
//! A case is an `async fn` that takes a harness and panics when the store breaks the rule that its
//! name states. A new one goes into the file of its topic and into `list.rs`.

#![allow(missing_docs, reason = "the name of a case is the sentence that it proves")]

pub mod at_once;
pub mod claim;
pub mod conflict;
pub mod dead;
pub mod durations;
pub mod fencing;
pub mod keys;
pub mod lease;
pub mod look;
pub mod repeats;
pub mod retention;
pub mod retry;
pub mod transaction;

mod list;

use futures::{FutureExt as _, future::LocalBoxFuture};

use super::StoreHarness;

/// A case by its name, for programs that run the suite themselves. Tests call
/// [`store_suite!`](crate::store_suite).
pub struct Case<H> {
    topic: &'static str,
    name: &'static str,
    run: for<'h> fn(&'h H) -> LocalBoxFuture<'h, ()>,
}

impl<H> Case<H> {
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
    /// When the store breaks the rule.
    pub fn run<'h>(&self, harness: &'h H) -> LocalBoxFuture<'h, ()> {
        (self.run)(harness)
    }
}

/// All cases.
pub fn all<H: StoreHarness>() -> Vec<Case<H>> {
    crate::__for_each_store_case! { __store_cases () }
}

#[doc(hidden)]
#[macro_export]
macro_rules! __store_cases {
    ([()] $($topic:ident { $($case:ident)* })*) => {
        vec![$($(Case {
            topic: stringify!($topic),
            name: stringify!($case),
            run: |harness| $topic::$case(harness).boxed_local(),
        },)*)*]
    };
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use crate::store::MemoryHarness;

    #[test]
    fn every_case_is_in_the_list() {
        let listed = super::all::<MemoryHarness>()
            .iter()
            .map(|case| format!("{}::{}", case.topic(), case.name()))
            .collect::<BTreeSet<_>>();
        let mut written = BTreeSet::new();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/cases");
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let topic = path.file_stem().unwrap().to_str().unwrap().to_owned();
            for line in fs::read_to_string(&path).unwrap().lines() {
                let name =
                    line.strip_prefix("pub async fn ").and_then(|rest| rest.split('(').next());
                written.extend(name.map(|name| format!("{topic}::{name}")));
            }
        }
        assert_eq!(listed, written);
    }
}

//! What lies in the dead letters of a round, and whether it is what was published.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use steadfast::{
    Message, Story,
    broker::{Demand, Subscription},
    headers,
};
use tokio::time::timeout;

use crate::{Plan, feed, plan::NUMBER, round::PATIENCE};

/// How long to wait for letters before it is asked whether there are more.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The dead letters by the number of their message. A letter may be there twice: one whose record
/// is not written is published again.
#[derive(Debug, Default)]
pub struct Letters(BTreeMap<u32, Vec<Message>>);

impl Letters {
    /// Reads on until all poison of the plan is there, but for those whose letters are gone, and then what
    /// else there is at once. Nothing, where nobody but the workers can look into the broker.
    pub(crate) async fn read(plan: &Plan, gone: &BTreeSet<u32>) -> Result<Self> {
        let mut letters = Self::default();
        if plan.poison.is_empty() || !feed::outlives_workers(plan) {
            return Ok(letters);
        }
        // None is settled: all of them must be sent.
        let judge = format!("judge.{}", plan.schema);
        let subscription = Subscription::new(plan.dead_letters(), judge).max_messages(1 << 14);
        let source = feed::look(plan).await?.subscribe(&subscription).await?;
        let deadline = Instant::now() + PATIENCE;
        while letters.lack_any(plan, gone) || source.backlog().await?.is_some_and(|more| more > 0) {
            ensure!(Instant::now() < deadline, "there are letters of {:?}", letters.0.keys());
            // What is counted may have come already: brokers count a little behind.
            let receiving = timeout(LOOK_AGAIN, source.receive(Demand::new(64, 1 << 20)));
            let found = receiving.await.unwrap_or(Ok(Vec::new()))?;
            for letter in found.into_iter().map(|delivery| delivery.message) {
                let number = letter.headers.text(NUMBER).and_then(|number| number.parse().ok());
                letters.0.entry(number.context("a letter of nobody")?).or_default().push(letter);
            }
        }
        source.close().await;
        Ok(letters)
    }

    fn lack_any(&self, plan: &Plan, gone: &BTreeSet<u32>) -> bool {
        let mut wanted = plan.poison.keys().filter(|number| !gone.contains(number));
        wanted.any(|number| !self.0.contains_key(number))
    }

    /// What is wrong with them.
    pub(crate) fn complaints(&self, plan: &Plan) -> Vec<String> {
        let letters =
            self.0.iter().flat_map(|(number, letters)| letters.iter().map(|l| (*number, l)));
        letters.filter_map(|(number, letter)| complaint(plan, number, letter)).collect()
    }

    /// Whose letters there are.
    #[must_use]
    pub fn numbers(&self) -> BTreeSet<u32> {
        self.0.keys().copied().collect()
    }
}

fn complaint(plan: &Plan, number: u32, letter: &Message) -> Option<String> {
    let Some(poison) = plan.poison.get(&number) else {
        return Some(format!("m-{number} lies in the dead letters, and nothing is wrong with it"));
    };
    let published = plan.message(number);
    let reason = Story::read(letter).map(|story| story.reason);
    if reason != Some(poison.reason()) {
        return Some(format!("the letter of m-{number} says {reason:?}"));
    }
    let mut producers = letter.headers.clone();
    producers.retain(|name| !name.starts_with(headers::PREFIX));
    let is_whole = letter.payload == published.payload
        && letter.key == published.key
        && producers.iter().eq(published.headers.iter());
    (!is_whole).then(|| format!("the letter of m-{number} is not what was published: {letter:?}"))
}

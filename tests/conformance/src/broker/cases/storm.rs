//! Everything at once: failures, poison, kills, stops and cuts. Afterwards every message has ended in
//! one of the three places, and with a store its effect is there once.

use std::collections::BTreeMap;

use steadfast::{HandlerError, OrderedBy, Outcome};

use crate::broker::{
    BrokerHarness, Proof, Stage,
    ledger::Ledger,
    script::{Call, Script, script, transient},
    stage::Policy,
};

const MESSAGES: usize = 90;
const KEYS: usize = 7;

pub async fn every_message_ends_in_a_storm(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "storm").await;
    storm(&stage, |policy| policy).await;
    Ok(())
}

pub async fn order_per_key_survives_a_storm(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::ordered(harness, "ordered-storm").await?;
    storm(&stage, |policy| policy.ordered_by(OrderedBy::Key)).await;
    let mut last = BTreeMap::new();
    for text in stage.ledger.succeeded() {
        let number = number(&text);
        let before = last.insert(number % KEYS, number);
        assert!(before < Some(number), "{text} came behind m{before:?}");
    }
    Ok(())
}

async fn storm(stage: &Stage<'_>, policy: impl Fn(Policy) -> Policy) {
    let member = |name| {
        let consumer = stage.consumer(name, weather(stage)).concurrency(4);
        let consumer = consumer.lease(stage.delay()).retry(stage.retry().max_attempts(12));
        stage.start(stage.remembering(policy(consumer)))
    };
    for number in 0..MESSAGES {
        let key = format!("k{}", number % KEYS);
        stage.topic.publish_keyed(&key, &format!("m{number}")).await;
    }
    let ended = |enough: usize| move |ledger: &Ledger| ended(ledger).len() >= enough;
    let one = member("one");
    stage.until("a quarter has ended", ended(MESSAGES / 4)).await;
    let two = member("two");
    cut(stage).await;
    stage.until("more has ended", ended(MESSAGES / 3)).await;
    one.kill().await;
    let three = member("three");
    stage.until("half has ended", ended(MESSAGES / 2)).await;
    two.stop().await;
    cut(stage).await;
    stage.until("all have ended", ended(MESSAGES)).await;
    three.stop().await;
    let succeeded = stage.ledger.succeeded();
    for number in 0..MESSAGES {
        let text = format!("m{number}");
        let times = succeeded.iter().filter(|other| **other == text).count();
        assert_eq!(times, usize::from(!is_poison(number)), "{text} has taken effect so often");
    }
}

/// Where connections can be cut. Where not, the rest is storm enough.
async fn cut(stage: &Stage<'_>) {
    let _ = stage.harness.disconnect().await;
}

/// Some messages fail a few times, and some always.
fn weather(stage: &Stage<'_>) -> Script {
    let work = stage.delay() / 50;
    script(move |Call { text, run, .. }| async move {
        let number = number(&text);
        tokio::time::sleep(work * (number % 3) as u32).await;
        match number {
            number if is_poison(number) => Err(HandlerError::permanent("no such account")),
            number if number % 5 == 1 && run <= 2 => Err(transient()),
            number if number % 11 == 4 && run == 1 => panic!("the handler panics as it is told to"),
            _ => Ok(()),
        }
    })
}

fn is_poison(number: usize) -> bool {
    number % 13 == 6
}

/// The messages that have come to an end.
fn ended(ledger: &Ledger) -> Vec<usize> {
    let has_ended = |number: &usize| {
        let outcomes = ledger.outcomes_of(&format!("m{number}"));
        outcomes.iter().any(|outcome| {
            matches!(outcome, Outcome::Done | Outcome::Duplicate(_) | Outcome::DeadLettered(_))
        })
    };
    (0..MESSAGES).filter(has_ended).collect()
}

fn number(text: &str) -> usize {
    text[1..].parse().expect("the messages of a storm are numbered")
}

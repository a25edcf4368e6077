//! Duplicates run once, with a store.

use steadfast::{HandlerError, Message, Outcome, Reason};

use crate::broker::{
    BrokerHarness, Proof, Stage,
    script::{Script, script, succeed},
    verdict::needs,
};

pub async fn duplicates_of_a_message_run_once(harness: &dyn BrokerHarness) -> Proof {
    const COPIES: usize = 6;
    let stage = Stage::new(harness, "copies").await;
    let work = stage.delay() / 20;
    let act = script(move |_| async move {
        tokio::time::sleep(work).await;
        Ok(())
    });
    let policy = |member| stage.remembering(stage.consumer(member, act.clone()).concurrency(4));
    let (one, two) = (stage.start(policy("one")), stage.start(policy("two")));
    for copy in 0..COPIES {
        stage.topic.publish_keyed(&format!("k{copy}"), "m1").await;
    }
    let ended = |outcome: &Outcome| matches!(outcome, Outcome::Done | Outcome::Duplicate(_));
    let all = |outcomes: Vec<Outcome>| outcomes.iter().filter(|o| ended(o)).count() == COPIES;
    stage.until("all copies have ended", |ledger| all(ledger.outcomes_of("m1"))).await;
    one.stop().await;
    two.stop().await;
    assert_eq!(stage.ledger.attempts_of("m1"), [1]);
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

/// By the id that the broker gives, where it is claimed to be stable.
pub async fn a_message_that_is_delivered_again_is_known_by_its_id(
    harness: &dyn BrokerHarness,
) -> Proof {
    let stage = Stage::new(harness, "by-id").await;
    needs(stage.capabilities.stable_message_ids, "the source claims no stable message ids")?;
    needs(harness.lose_next_ack().await, "an ack cannot be lost")?;
    let policy = |member| {
        let policy = stage.consumer(member, succeed());
        policy.store(stage.store.clone()).dedup_key(steadfast::DedupKey::MessageId)
    };
    let one = stage.start(policy("one"));
    stage.topic.publish("m1").await;
    stage.until("it is done", |ledger| !ledger.outcomes_of("m1").is_empty()).await;
    one.stop().await;
    let two = stage.start(policy("two"));
    let duplicate = |outcome: &Outcome| matches!(outcome, Outcome::Duplicate(_));
    let what = "it has come again and been found a duplicate";
    stage.until(what, |ledger| ledger.outcomes_of("m1").iter().any(duplicate)).await;
    two.stop().await;
    assert_eq!(stage.ledger.runs_of("m1").len(), 1);
    Ok(())
}

pub async fn a_duplicate_of_a_dead_letter_does_not_run(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "dead-twin").await;
    let member = stage.start(stage.remembering(stage.consumer("one", refuse())));
    stage.topic.publish("m1").await;
    let given_up = Outcome::DeadLettered(Reason::Permanent);
    stage.until("it is given up", |ledger| ledger.outcomes_of("m1").contains(&given_up)).await;
    stage.topic.publish("m1").await;
    let duplicate = Outcome::Duplicate(steadfast::Ended::Dead);
    let what = "its duplicate has ended";
    stage.until(what, |ledger| ledger.outcomes_of("m1").contains(&duplicate)).await;
    member.stop().await;
    assert_eq!(stage.ledger.runs_of("m1").len(), 1);
    stage.topic.assert_nothing_is_left().await;
    assert_eq!(stage.lying_dead().await?.len(), 1, "one dead letter");
    Ok(())
}

/// Never taken for a duplicate in silence.
pub async fn a_key_that_belongs_to_another_payload_is_a_conflict(
    harness: &dyn BrokerHarness,
) -> Proof {
    let stage = Stage::new(harness, "conflict").await;
    let policy = stage.consumer("one", succeed()).store(stage.store.clone());
    let member = stage.start(policy.dedup_key(steadfast::DedupKey::header("id")));
    for text in ["m1", "another"] {
        let message = Message::new(text).with_key(text).with_header("id", "7");
        stage.topic.publish_message(message).await;
        stage.until("it has ended", |ledger| !ledger.outcomes_of(text).is_empty()).await;
    }
    member.stop().await;
    assert_eq!(stage.ledger.succeeded(), ["m1"]);
    let given_up = Outcome::DeadLettered(Reason::Conflict);
    assert_eq!(stage.ledger.outcomes_of("another"), [given_up]);
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

fn refuse() -> Script {
    script(|_| async { Err(HandlerError::permanent("no such account")) })
}

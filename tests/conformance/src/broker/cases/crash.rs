//! A consumer that dies: nothing is lost, and a message that kills is given up (P2, P5, P6).

use std::time::Duration;

use steadfast::{Outcome, Reason, Story};

use crate::broker::{
    BrokerHarness, Proof, Stage,
    ledger::Ledger,
    script::{Script, hang, script, succeed},
    stage::Policy,
};

pub async fn a_message_comes_again_when_its_consumer_dies(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "killed").await;
    let one = stage.start(stage.consumer("one", hang()).max_in_flight(16));
    let texts = ["m1", "m2", "m3"];
    stage.topic.publish_all(&texts).await;
    stage.until("all run", |ledger| ledger.runs().len() == 3).await;
    one.kill().await;
    let two = stage.start(stage.consumer("two", succeed()));
    stage.until_succeeded(&texts).await;
    two.stop().await;
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn nothing_is_lost_and_nothing_done_twice_over_many_deaths(
    harness: &dyn BrokerHarness,
) -> Proof {
    let stage = Stage::new(harness, "many-deaths").await;
    let texts: Vec<String> = (0..30).map(|number| format!("m{number}")).collect();
    for text in &texts {
        stage.topic.publish(text).await;
    }
    // A message may be at work at each death.
    let member = |name, script| {
        let policy = stage.consumer(name, script).retry(stage.retry().max_attempts(12));
        mortal(&stage, policy)
    };
    for death in 1..=3 {
        let member = stage.start(member("one", slow(&stage)).concurrency(2));
        let enough = |ledger: &Ledger| ledger.succeeded().len() >= death * 5;
        stage.until("some more are done", enough).await;
        member.kill().await;
    }
    let last = stage.start(member("last", succeed()));
    stage.until_succeeded(&texts).await;
    last.stop().await;
    let mut succeeded = stage.ledger.succeeded();
    succeeded.sort();
    // A kill between the end of a handler and its record leaves one that runs again, one for each
    // slot at most: what is recorded as done is never done again.
    let doubled = succeeded.len() - texts.len();
    assert!(doubled <= 3 * 2, "{doubled} messages were done twice");
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_message_that_kills_its_process_is_given_up(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "poison").await;
    stage.topic.publish("m1").await;
    for death in 1..=3 {
        let member = stage.start(mortal(&stage, stage.consumer("one", hang())));
        stage.until("it runs", |ledger| ledger.runs().len() == death).await;
        member.kill().await;
    }
    let last = stage.start(mortal(&stage, stage.consumer("last", hang())));
    let given_up = Outcome::DeadLettered(Reason::Exhausted);
    let what = "it is given up";
    stage.until(what, |ledger| ledger.outcomes_of("m1").contains(&given_up)).await;
    last.stop().await;
    assert_eq!(stage.ledger.attempts_of("m1"), [1, 2, 3]);
    stage.topic.assert_nothing_is_left().await;
    let letters = stage.dead_letters(1).await?;
    let story = Story::read(&letters[0]).expect("a dead letter tells its story");
    assert_eq!(story.failure_kind, "abandoned");
    Ok(())
}

/// It would be lost if its owner died.
pub async fn a_duplicate_is_not_acked_while_its_twin_is_at_work(
    harness: &dyn BrokerHarness,
) -> Proof {
    let stage = Stage::new(harness, "twin").await;
    let first_hangs =
        script(
            |call| async move { if call.run == 1 { std::future::pending().await } else { Ok(()) } },
        );
    let one = stage.start(mortal(&stage, stage.consumer("one", first_hangs.clone())));
    stage.topic.publish("m1").await;
    stage.until("the first runs", |ledger| ledger.runs().len() == 1).await;
    stage.topic.publish("m1").await;
    let two = stage.start(mortal(&stage, stage.consumer("two", first_hangs)));
    stage.others_have_worked().await;
    let outcomes = stage.ledger.outcomes_of("m1");
    // Where members share by partitions, the second may have got both, and ended the first of them.
    assert!(
        !outcomes.iter().any(|outcome| matches!(outcome, Outcome::Duplicate(_)))
            || !stage.ledger.succeeded().is_empty(),
        "its twin has not ended: {outcomes:?}"
    );
    one.kill().await;
    stage.until_succeeded(&["m1"]).await;
    let ended = |ledger: &Ledger| {
        let outcomes = ledger.outcomes_of("m1");
        outcomes.iter().any(|outcome| matches!(outcome, Outcome::Duplicate(_)))
    };
    stage.until("the other copy has been found a duplicate", ended).await;
    two.stop().await;
    assert_eq!(stage.ledger.succeeded(), ["m1"]);
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

/// A consumer whose leases end soon after its death.
fn mortal(stage: &Stage<'_>, policy: Policy) -> Policy {
    stage.remembering(policy).lease(stage.delay().max(Duration::from_millis(300)))
}

fn slow(stage: &Stage<'_>) -> Script {
    let work = stage.delay() / 20;
    script(move |_| async move {
        tokio::time::sleep(work).await;
        Ok(())
    })
}

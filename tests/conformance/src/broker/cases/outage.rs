//! A dead letter destination that is down: the original is kept, intake pauses, and what was held up
//! goes on by itself (P1, P8).

use steadfast::{HandlerError, Outcome, Reason};

use crate::broker::{
    BrokerHarness, Member, NotProved, Proof, Stage,
    ledger::Ledger,
    script::{Script, script},
    verdict::needs,
    wait::within,
};

pub async fn a_dead_letter_waits_for_its_destination(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "dest-down").await;
    let member = poisoned(&stage, 8).await?;
    stage.others_have_worked().await;
    let outcomes = stage.ledger.outcomes_of("poison");
    assert!(!outcomes.iter().any(is_dead), "not confirmed, and yet {outcomes:?}");
    up_again(&stage, &member).await;
    let dead = |ledger: &Ledger| ledger.outcomes_of("poison").iter().any(is_dead);
    stage.until("the dead letter has been confirmed", dead).await;
    member.stop().await;
    stage.topic.assert_nothing_is_left().await;
    let letters = stage.dead_letters(1).await?;
    assert!(letters.iter().all(|letter| letter.payload.as_deref() == Some(b"poison")));
    Ok(())
}

/// What is asked for when the outage begins may still come; no more than is in flight.
pub async fn intake_pauses_while_the_dead_letters_are_down(harness: &dyn BrokerHarness) -> Proof {
    const IN_FLIGHT: usize = 4;
    let stage = Stage::new(harness, "paused").await;
    let member = poisoned(&stage, IN_FLIGHT).await?;
    let texts: Vec<String> = (0..20).map(|number| format!("m{number}")).collect();
    for text in &texts {
        stage.topic.publish(text).await;
    }
    stage.others_have_worked().await;
    let handled = stage.ledger.succeeded().len();
    assert!(handled < IN_FLIGHT, "{handled} messages were handled during the outage");
    up_again(&stage, &member).await;
    stage.until_succeeded(&texts).await;
    member.stop().await;
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_consumer_says_that_its_dead_letters_are_down(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "says-so").await;
    let member = poisoned(&stage, 8).await?;
    assert_eq!(member.health.reasons(), ["dead letters"]);
    up_again(&stage, &member).await;
    assert!(member.health.reasons().is_empty());
    member.stop().await;
    Ok(())
}

pub async fn a_stop_during_the_outage_loses_nothing(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "stop-in-outage").await;
    let member = poisoned(&stage, 8).await?;
    stage.topic.publish("m1").await;
    member.stop().await;
    harness.refuse_publishes(&stage.dead.name, false).await;
    let next = stage.start(stage.consumer("two", poison()));
    stage.until_succeeded(&["m1"]).await;
    let dead = |ledger: &Ledger| {
        ledger.outcomes_of("poison").contains(&Outcome::DeadLettered(Reason::Permanent))
    };
    stage.until("the dead letter has been confirmed", dead).await;
    next.stop().await;
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

/// A consumer that has found its dead letter destination down.
async fn poisoned(stage: &Stage<'_>, in_flight: usize) -> Result<Member, NotProved> {
    let policy = stage.consumer("one", poison()).concurrency(2).max_in_flight(in_flight);
    let member = stage.start(policy);
    member.ready().await;
    let down = stage.harness.refuse_publishes(&stage.dead.name, true).await;
    needs(down, "a destination cannot be made unavailable")?;
    stage.topic.publish("poison").await;
    let down = member.health.down("dead letters");
    within(stage.longest_wait(), "the consumer to find the destination down", down).await;
    Ok(member)
}

async fn up_again(stage: &Stage<'_>, member: &Member) {
    stage.harness.refuse_publishes(&stage.dead.name, false).await;
    member.ready().await;
}

fn poison() -> Script {
    script(|call| async move {
        match call.text.as_str() {
            "poison" => Err(HandlerError::permanent("no such account")),
            _ => Ok(()),
        }
    })
}

fn is_dead(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::DeadLettered(_))
}

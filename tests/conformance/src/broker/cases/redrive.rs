//! Putting dead letters back.

use std::{future::pending, sync::Arc};

use steadfast::{
    HandlerError, Message, Outcome, Reason, Redrive, RedriveReport, headers, store::Store,
};

use crate::broker::{
    BrokerHarness, GROUPS, Member, Proof, Stage,
    script::{Script, script},
    verdict::needs,
    wait::within,
};

pub async fn a_redriven_dead_letter_runs_again(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "redriven").await;
    let member = give_up(&stage, true).await;
    let report = redrive(&stage).await;
    assert_eq!(report.redriven, 1, "{report}");
    stage.until_succeeded(&["m1"]).await;
    member.stop().await;
    assert_eq!(stage.ledger.attempts_of("m1"), [1, 1], "it begins anew");
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_dead_letter_without_a_record_is_redriven_too(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "no-record").await;
    let member = give_up(&stage, false).await;
    let report = redrive(&stage).await;
    assert_eq!(report.redriven, 1, "{report}");
    stage.until_succeeded(&["m1"]).await;
    member.stop().await;
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_redrive_that_is_run_again_runs_nothing_twice(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "redriven-twice").await;
    let member = give_up(&stage, true).await;
    assert_eq!(redrive(&stage).await.redriven, 1);
    stage.until_succeeded(&["m1"]).await;
    let again = redrive_once(&stage).await;
    assert_eq!(again, RedriveReport::default(), "the letter has been settled: {again}");
    member.stop().await;
    assert_eq!(stage.ledger.runs_of("m1").len(), 2);
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_dry_run_changes_nothing(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "dry").await;
    let member = give_up(&stage, true).await;
    let dry = of(&stage);
    for _ in 0..2 {
        let report = within(stage.longest_wait(), "the dry run", dry.dry_run(pending())).await;
        assert_eq!(report.expect("the letters can be read").redriven, 1);
    }
    assert_eq!(stage.ledger.runs_of("m1").len(), 1);
    assert_eq!(redrive(&stage).await.redriven, 1);
    stage.until_succeeded(&["m1"]).await;
    member.stop().await;
    Ok(())
}

pub async fn letters_that_the_filter_leaves_stay(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "filtered").await;
    let member = give_up(&stage, true).await;
    let none = of(&stage).only(|story| story.reason != Reason::Permanent);
    let report = within(stage.longest_wait(), "the redrive", none.run(pending())).await;
    let report = report.expect("the redrive runs");
    assert_eq!((report.redriven, report.filtered), (0, 1), "{report}");
    assert_eq!(redrive(&stage).await.redriven, 1);
    stage.until_succeeded(&["m1"]).await;
    member.stop().await;
    Ok(())
}

/// As it was published, but for what is said of its redrives under reserved names.
pub async fn a_redriven_message_is_the_original(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "original").await;
    let (seen, mut messages) = tokio::sync::mpsc::unbounded_channel();
    let act = script(move |call| {
        let _ = seen.send(call.message);
        async move { if call.run == 1 { Err(refusal()) } else { Ok(()) } }
    });
    let member = stage.start(stage.remembering(stage.consumer("one", act)));
    let message = Message::new("m1").with_key("k").with_header("b", "1").with_header("b", "2");
    stage.topic.publish_message(message.clone()).await;
    let given_up = Outcome::DeadLettered(Reason::Permanent);
    stage.until("it is given up", |ledger| ledger.outcomes_of("m1").contains(&given_up)).await;
    redrive(&stage).await;
    stage.until_succeeded(&["m1"]).await;
    member.stop().await;
    assert_eq!(messages.recv().await, Some(message.clone()));
    let mut redriven = messages.recv().await.expect("it ran again");
    assert_eq!(redriven.headers.text(headers::REDRIVES), Some("1"));
    redriven.headers.retain(|name| !name.starts_with(headers::PREFIX));
    assert_eq!(redriven, message);
    Ok(())
}

/// Stable is what stays the same also when a message is redriven.
pub async fn a_redriven_message_keeps_its_id(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "redriven-id").await;
    needs(stage.capabilities.stable_message_ids, "the source claims no stable message ids")?;
    let (seen, mut ids) = tokio::sync::mpsc::unbounded_channel();
    let act = script(move |call| {
        let _ = seen.send(call.origin.message_id);
        async move { if call.run == 1 { Err(refusal()) } else { Ok(()) } }
    });
    let member = stage.start(stage.consumer("one", act));
    stage.topic.publish("m1").await;
    let given_up = Outcome::DeadLettered(Reason::Permanent);
    stage.until("it is given up", |ledger| ledger.outcomes_of("m1").contains(&given_up)).await;
    redrive(&stage).await;
    stage.until_succeeded(&["m1"]).await;
    member.stop().await;
    let first = ids.recv().await.expect("it ran");
    assert_eq!(ids.recv().await, Some(first));
    Ok(())
}

/// A foreign tool moves it, story and all.
pub async fn a_dead_letter_that_is_moved_back_by_hand_runs(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "by-hand").await;
    stage.lying_dead().await?;
    let member = give_up(&stage, true).await;
    let mut letters = stage.dead_letters(1).await?;
    stage.topic.publish_message(letters.remove(0)).await;
    stage.until_succeeded(&["m1"]).await;
    member.stop().await;
    assert_eq!(stage.ledger.runs_of("m1").len(), 2);
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

/// A consumer that has given a message up, and will handle it the next time.
async fn give_up(stage: &Stage<'_>, with_record: bool) -> Member {
    let policy = stage.consumer("one", refuse_first());
    let policy = if with_record { stage.remembering(policy) } else { policy };
    let member = stage.start(policy);
    stage.topic.publish("m1").await;
    let given_up = Outcome::DeadLettered(Reason::Permanent);
    stage.until("it is given up", |ledger| ledger.outcomes_of("m1").contains(&given_up)).await;
    member
}

fn of(stage: &Stage<'_>) -> Redrive {
    let store: Arc<dyn Store> = Arc::new(stage.store.clone());
    Redrive::of(stage.harness.broker(), &stage.dead.name).group(GROUPS[0]).store(store)
}

/// A redrive is over when no letter has come for some seconds, which a busy broker may take for the first:
/// it is run until it has seen one.
async fn redrive(stage: &Stage<'_>) -> RedriveReport {
    let redriving = async {
        loop {
            let report = redrive_once(stage).await;
            if report != RedriveReport::default() {
                return report;
            }
        }
    };
    within(stage.longest_wait(), "the redrive of a letter", redriving).await
}

async fn redrive_once(stage: &Stage<'_>) -> RedriveReport {
    let redrive = of(stage);
    let report = within(stage.longest_wait(), "the redrive", redrive.run(pending())).await;
    report.unwrap_or_else(|error| panic!("the redrive cannot go on: {error}"))
}

fn refuse_first() -> Script {
    script(|call| async move { if call.run == 1 { Err(refusal()) } else { Ok(()) } })
}

fn refusal() -> HandlerError {
    HandlerError::permanent("no such account")
}

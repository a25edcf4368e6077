//! After the connection is cut, and after an ack that never arrived.

use std::sync::Arc;

use steadfast::{
    Ended, Outcome,
    broker::{Settle, SettleError, Settlement},
};

use crate::broker::{
    BrokerHarness, Proof, Stage, Topic,
    ledger::Ledger,
    script::{Gate, script, succeed},
    session::text_of,
    verdict::needs,
    wait::within,
};

pub async fn a_receive_that_waits_goes_on_after_a_cut(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "cut").await;
    let mut session = topic.session().await;
    topic.publish("m1").await;
    let delivery = session.next_is("m1").await;
    session.ack(delivery).await;
    let cutting = async {
        tokio::task::yield_now().await;
        let cut = harness.disconnect().await;
        topic.publish("m2").await;
        cut
    };
    let (cut, delivery) = tokio::join!(cutting, async {
        loop {
            let delivery = session.next().await;
            // An ack in front of a cut may not have arrived.
            if text_of(&delivery.message) == "m2" {
                break delivery;
            }
        }
    });
    session.ack(delivery).await;
    session.close().await;
    needs(cut, "connections cannot be cut")
}

/// An answer must be true: what is answered with `Ok` does not come again.
pub async fn receipts_of_a_lost_session_are_stale_and_change_nothing(
    harness: &dyn BrokerHarness,
) -> Proof {
    let topic = Topic::fresh(harness, "lost-session").await;
    let mut session = topic.session().await;
    topic.publish_all(&["acked late", "released late"]).await;
    let [acked, released] = session.take(["acked late", "released late"]).await;
    needs(harness.disconnect().await, "connections cannot be cut")?;
    let batch = [Settle::new(acked, Settlement::Ack), Settle::new(released, Settlement::Release)];
    let old = Arc::clone(&session.source);
    let settling = old.settle(&batch);
    let answers = within(topic.patience(), "the answer to a late settlement", settling).await;
    if answers.iter().all(Result::is_ok) {
        // A client that finds back by itself has not lost its session.
        session.close().await;
        let mut next = topic.session().await;
        let released = next.next_is("released late").await;
        next.ack(released).await;
        next.close().await;
        topic.assert_nothing_is_left().await;
        return Ok(());
    }
    for answer in &answers {
        assert!(
            matches!(answer, Err(SettleError::Stale | SettleError::Unavailable(_))),
            "a receipt of a lost session is answered with {answer:?}"
        );
    }
    within(topic.patience(), "the lost session to close", old.close()).await;
    let mut next = topic.session().await;
    let [first, second] = next.take(["acked late", "released late"]).await;
    // Said again, while others have them, it is as void.
    let again = within(topic.patience(), "the answer to a late settlement", old.settle(&batch));
    let _ = again.await;
    next.release(first).await;
    next.release(second).await;
    for delivery in next.take(["acked late", "released late"]).await {
        next.ack(delivery).await;
    }
    next.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_message_whose_ack_was_lost_comes_again(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "lost-ack").await;
    let mut session = topic.session().await;
    topic.publish("m1").await;
    let delivery = session.next_is("m1").await;
    needs(harness.lose_next_ack().await, "an ack cannot be lost")?;
    // The adapter may or may not notice.
    let _ = session.try_settle(&Settle::new(delivery, Settlement::Ack)).await;
    session.close().await;
    let mut next = topic.session().await;
    let delivery = next.next_is("m1").await;
    next.ack(delivery).await;
    next.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_message_whose_ack_was_lost_is_done_once(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "lost-ack-once").await;
    needs(harness.lose_next_ack().await, "an ack cannot be lost")?;
    let one = stage.start(stage.remembering(stage.consumer("one", succeed())));
    stage.topic.publish("m1").await;
    stage.until("it is done", |ledger| !ledger.outcomes_of("m1").is_empty()).await;
    one.stop().await;
    let two = stage.start(stage.remembering(stage.consumer("two", succeed())));
    let duplicate = Outcome::Duplicate(Ended::Done);
    let what = "it has come again and been found a duplicate";
    stage.until(what, |ledger| ledger.outcomes_of("m1").contains(&duplicate)).await;
    two.stop().await;
    assert_eq!(stage.ledger.runs_of("m1").len(), 1);
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn nothing_is_lost_over_many_cuts(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "many-cuts").await;
    let member = stage.start(stage.consumer("one", succeed()).concurrency(4));
    let mut texts = Vec::new();
    for cut in 0..4 {
        for number in 0..10 {
            let text = format!("m{cut}-{number}");
            stage.topic.publish(&text).await;
            texts.push(text);
        }
        let some = |ledger: &Ledger| ledger.succeeded().len() > cut * 10;
        stage.until("some are handled", some).await;
        needs(harness.disconnect().await, "connections cannot be cut")?;
    }
    // Acks in front of the last cut may not have arrived: some may be left, but none unhandled.
    stage.until_succeeded(&texts).await;
    member.ready().await;
    member.stop().await;
    Ok(())
}

/// Its old delivery is nobody's any more: the handler hears of it, and the message runs again.
pub async fn a_message_at_work_during_a_cut_runs_again_and_is_done_once(
    harness: &dyn BrokerHarness,
) -> Proof {
    let stage = Stage::new(harness, "cut-at-work").await;
    let gate = Gate::closed();
    let passing = gate.clone();
    let act = script(move |_| {
        let gate = passing.clone();
        async move {
            gate.passed().await;
            Ok(())
        }
    });
    let member = stage.start(stage.remembering(stage.consumer("one", act)));
    stage.topic.publish("m1").await;
    stage.until("it runs", |ledger| ledger.runs().len() == 1).await;
    needs(harness.disconnect().await, "connections cannot be cut")?;
    gate.open();
    stage.until_succeeded(&["m1"]).await;
    stage.topic.publish("m2").await;
    stage.until_succeeded(&["m2"]).await;
    member.stop().await;
    assert_eq!(stage.ledger.succeeded().iter().filter(|text| *text == "m1").count(), 1);
    Ok(())
}

//! Order per key through whole consumers (P13): what happens to a message does not change the order
//! of effects.

use steadfast::{HandlerError, OrderedBy, Outcome};

use crate::broker::{
    BrokerHarness, Proof, Stage,
    ledger::{Ledger, Run},
    script::{Gate, Script, hang, script, succeed, transient},
    stage::Policy,
    verdict::needs,
};

pub async fn order_per_key_survives_a_retry(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::ordered(harness, "order-retry").await?;
    for number in 1..=3 {
        for key in ["a", "b", "c"] {
            stage.topic.publish_keyed(key, &format!("{key}{number}")).await;
        }
    }
    let policy = ordered(&stage, "one", fail_first("a1")).retry(stage.late_retry());
    let member = stage.start(policy);
    stage.until_succeeded(&["a1", "a2", "a3", "b3", "c3"]).await;
    member.stop().await;
    for key in ["a", "b", "c"] {
        assert_in_order(&stage.ledger, key, 3);
    }
    let retried = stage.ledger.runs_of("a1")[1].began;
    for other in ["b3", "c3"] {
        let began = stage.ledger.runs_of(other)[0].began;
        assert!(began < retried, "{other} did not wait for the retry of a1");
    }
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

/// Also while members come and go.
pub async fn one_key_is_never_at_two_members_at_once(harness: &dyn BrokerHarness) -> Proof {
    const MESSAGES: usize = 12;
    let stage = Stage::ordered(harness, "one-member").await?;
    let work = stage.delay() / 50;
    let act = script(move |_| async move {
        tokio::time::sleep(work).await;
        Ok(())
    });
    let keys = ["a", "b", "c", "d", "e"];
    let publish = async |numbers: std::ops::RangeInclusive<usize>| {
        for number in numbers {
            for key in keys {
                stage.topic.publish_keyed(key, &format!("{key}{number}")).await;
            }
        }
    };
    let one = stage.start(ordered(&stage, "one", act.clone()));
    publish(1..=4).await;
    stage.until("the first member is at work", |ledger| ledger.runs().len() > 4).await;
    let two = stage.start(ordered(&stage, "two", act.clone()));
    publish(5..=8).await;
    stage.until("more is done", |ledger| ledger.succeeded().len() > 20).await;
    one.stop().await;
    publish(9..=MESSAGES).await;
    let last = keys.map(|key| format!("{key}{MESSAGES}"));
    stage.until_succeeded(&last).await;
    two.stop().await;
    stage.ledger.assert_never_at_once(|run: &Run| run.key.clone());
    for key in keys {
        assert_in_order(&stage.ledger, key, MESSAGES);
    }
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn order_survives_a_stop_in_the_middle_of_a_wait(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::ordered(harness, "order-stop").await?;
    let one = stage.start(ordered(&stage, "one", fail_first("a1")));
    publish_line(&stage).await;
    stage.until("the first attempt has failed", failed("a1")).await;
    one.stop().await;
    finish_in_order(&stage).await
}

pub async fn order_survives_a_kill(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::ordered(harness, "order-kill").await?;
    let one = stage.start(ordered(&stage, "one", hang()));
    publish_line(&stage).await;
    stage.until("the first is at work", |ledger| !ledger.runs_of("a1").is_empty()).await;
    one.kill().await;
    finish_in_order(&stage).await
}

pub async fn order_survives_a_cut(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::ordered(harness, "order-cut").await?;
    let (gate, ledger) = (Gate::closed(), stage.ledger.clone());
    let passing = gate.clone();
    let act = script(move |call| {
        let (gate, ledger) = (passing.clone(), ledger.clone());
        async move {
            if ledger.runs_of(&call.text).len() == 1 && call.text == "a1" {
                gate.passed().await;
            }
            Ok(())
        }
    });
    let member = stage.start(ordered(&stage, "one", act));
    publish_line(&stage).await;
    stage.until("the first is at work", |ledger| !ledger.runs_of("a1").is_empty()).await;
    needs(harness.disconnect().await, "connections cannot be cut")?;
    gate.open();
    // What the cut has made come again comes before this.
    stage.topic.publish_keyed("a", "a4").await;
    stage.until_succeeded(&["a1", "a2", "a3", "a4"]).await;
    member.stop().await;
    assert_in_order(&stage.ledger, "a", 4);
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_key_goes_on_behind_a_dead_letter(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::ordered(harness, "order-dead").await?;
    let act = script(|call| async move {
        match call.text.as_str() {
            "a2" => Err(HandlerError::permanent("no such account")),
            _ => Ok(()),
        }
    });
    let member = stage.start(ordered(&stage, "one", act));
    publish_line(&stage).await;
    stage.until_succeeded(&["a1", "a3"]).await;
    member.stop().await;
    assert_eq!(stage.ledger.succeeded(), ["a1", "a3"]);
    let outcomes = stage.ledger.outcomes_of("a2");
    assert!(matches!(outcomes.as_slice(), [Outcome::DeadLettered(_)]), "{outcomes:?}");
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

async fn publish_line(stage: &Stage<'_>) {
    for text in ["a1", "a2", "a3"] {
        stage.topic.publish_keyed("a", text).await;
    }
}

/// Another member handles the line from where the first has left it.
async fn finish_in_order(stage: &Stage<'_>) -> Proof {
    let two = stage.start(ordered(stage, "two", succeed()));
    stage.until_succeeded(&["a1", "a2", "a3"]).await;
    two.stop().await;
    assert_in_order(&stage.ledger, "a", 3);
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

fn ordered(stage: &Stage<'_>, member: &'static str, script: Script) -> Policy {
    stage.consumer(member, script).ordered_by(OrderedBy::Key)
}

fn fail_first(text: &'static str) -> Script {
    script(move |call| async move {
        if call.text == text && call.run == 1 { Err(transient()) } else { Ok(()) }
    })
}

fn failed(text: &'static str) -> impl Fn(&Ledger) -> bool {
    move |ledger| ledger.runs_of(text).first().is_some_and(|run| run.ended.is_some())
}

/// Effects of a key come in the order of publishing. After a cut or a kill one may come twice; then
/// what follows it comes again too, so that the last state stands.
fn assert_in_order(ledger: &Ledger, key: &str, messages: usize) {
    let numbers: Vec<usize> =
        ledger.succeeded().iter().filter_map(|text| text.strip_prefix(key)?.parse().ok()).collect();
    let mut before = 0;
    for number in &numbers {
        assert!(*number <= before + 1, "{key}{number} came before its turn: {numbers:?}");
        before = *number;
    }
    assert_eq!(before, messages, "the last of {key}: {numbers:?}");
}

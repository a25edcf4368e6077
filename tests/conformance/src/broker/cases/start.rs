//! What is refused at start, in words (P16).

use std::time::Duration;

use steadfast::{
    Backoff, DedupKey, Finding, OrderedBy, Retry, RunError, Severity,
    broker::{BrokerError, Hold},
};

use crate::broker::{
    BrokerHarness, NotProved, Proof, Stage, Topic, script::succeed, stage::Policy, verdict::needs,
};

pub async fn a_consumer_is_ready_while_it_consumes(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "ready").await;
    let member = stage.start(stage.consumer("one", succeed()));
    member.ready().await;
    stage.topic.publish("m1").await;
    stage.until_succeeded(&["m1"]).await;
    assert!(member.health.is_ready());
    let health = member.health.clone();
    member.stop().await;
    assert!(!health.is_ready(), "it has ended");
    Ok(())
}

pub async fn a_missing_source_is_refused(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "no-source").await;
    let missing = missing(harness).await?;
    let member = stage.start(stage.consumer("one", succeed()).source(&missing));
    assert_names(member.ended().await, &missing);
    Ok(())
}

pub async fn a_missing_dead_letter_destination_is_refused(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "no-dead-letters").await;
    let missing = missing(harness).await?;
    let member = stage.start(stage.consumer("one", succeed()).dead_letter(&missing));
    assert_names(member.ended().await, &missing);
    Ok(())
}

pub async fn order_is_refused_where_it_is_not_kept(harness: &dyn BrokerHarness) -> Proof {
    // A source may keep order only when it is asked for.
    let asked = Topic::create(harness, "no-order-asked", true).await;
    needs(!asked.capabilities().await.ordered, "the source keeps order")?;
    let stage = Stage::new(harness, "no-order").await;
    let policy = stage.consumer("one", succeed()).ordered_by(OrderedBy::Key);
    assert_refused(&stage, policy, "ordered_by").await;
    Ok(())
}

pub async fn dedup_by_message_ids_that_change_is_refused(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "no-ids").await;
    needs(!stage.capabilities.stable_message_ids, "the source has stable message ids")?;
    let policy = stage.consumer("one", succeed()).store(stage.store.clone());
    assert_refused(&stage, policy.dedup_key(DedupKey::MessageId), "dedup_key").await;
    Ok(())
}

pub async fn a_timeout_beyond_the_hold_is_refused(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "short-hold").await;
    let hold = match stage.capabilities.hold {
        Hold::Fixed(hold) | Hold::Extendable { total: Some(hold), .. } => hold,
        _ => return NotProved::because("its hold can be extended without end"),
    };
    let policy = stage.consumer("one", succeed()).timeout(hold).grace(Duration::ZERO);
    assert_refused(&stage, policy, "timeout and retry").await;
    let wait = Retry::with_backoff(Backoff::fixed(hold)).in_place_up_to(hold);
    let policy = stage.consumer("one", succeed()).retry(wait);
    assert_refused(&stage, policy, "timeout and retry").await;
    Ok(())
}

pub async fn more_attempts_than_the_broker_delivers_are_refused(
    harness: &dyn BrokerHarness,
) -> Proof {
    let stage = Stage::new(harness, "few-deliveries").await;
    let Some(limit) = stage.capabilities.delivery_limit else {
        return NotProved::because("the broker takes no message away");
    };
    let policy = stage.consumer("one", succeed()).retry(stage.retry().max_attempts(limit));
    assert_refused(&stage, policy, "the broker's delivery limit").await;
    Ok(())
}

async fn assert_refused(stage: &Stage<'_>, policy: Policy, setting: &str) {
    match stage.start(policy).ended().await {
        Err(RunError::Misconfigured(findings)) => {
            let errors = findings.0.iter().filter(|finding| finding.severity == Severity::Error);
            let settings: Vec<_> = errors.map(|finding| finding.setting).collect();
            assert_eq!(settings, [setting], "{findings}");
        }
        other => panic!("{setting} should be refused at start, and the consumer ended {other:?}"),
    }
}

/// Ended, and in words of the broker's that name what is missing.
fn assert_names(ended: Result<(), RunError>, missing: &str) {
    let words = match &ended {
        Err(RunError::Misconfigured(findings)) => findings.0.iter().find_map(refusal),
        Err(RunError::Broker(BrokerError::Misconfigured(words))) => Some(words.as_str()),
        _ => None,
    };
    let words = words
        .unwrap_or_else(|| panic!("{missing} does not exist, and the consumer ended {ended:?}"));
    assert!(words.contains(missing), "{words:?} does not name {missing}");
}

/// What the broker says, behind the destination of which it says it.
fn refusal(finding: &Finding) -> Option<&str> {
    let is_refusal = matches!(finding.rule, "no-subscription" | "no-destination");
    let (_, words) = is_refusal.then(|| finding.found.split_once(" ("))??;
    Some(words)
}

async fn missing(harness: &dyn BrokerHarness) -> Result<String, NotProved> {
    match harness.missing_topic().await {
        Some(name) => Ok(name),
        None => NotProved::because("topics come into being by being used"),
    }
}

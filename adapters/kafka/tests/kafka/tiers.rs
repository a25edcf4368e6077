//! The topics of retry tiers: fit for it, or refused.

use std::time::Duration;

use steadfast::broker::BrokerError;
use steadfast_kafka::KafkaBroker;

use crate::{
    fresh_topic,
    support::{admin, quick, session::Session, unique},
};

fn with_a_tier(servers: &str) -> KafkaBroker {
    quick(servers).retry_tiers([Duration::from_secs(60)])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tier_is_created_so_that_it_loses_nothing_and_is_never_early() {
    let (servers, topic) = fresh_topic("tiers", 2).await;
    let (broker, group) = (with_a_tier(&servers), unique("group"));
    Session::open(&broker, &topic, &group).await.close().await;
    let tier = format!("{topic}.{group}.retry.1m");
    for (name, value) in [
        ("message.timestamp.type", "LogAppendTime"),
        ("cleanup.policy", "delete"),
        ("retention.bytes", "-1"),
        ("retention.ms", "1209660000"),
    ] {
        assert_eq!(admin::setting(&servers, &tier, name).await, value, "{name}");
    }
    // It is fit for the next session.
    Session::open(&broker, &topic, &group).await.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tier_that_would_lose_messages_or_let_them_go_early_is_refused() {
    let (servers, topic) = fresh_topic("unfit-tiers", 1).await;
    let fit = [("message.timestamp.type", "LogAppendTime")];
    for (setting, fix) in [
        (("message.timestamp.type", "CreateTime"), "message.timestamp.type=LogAppendTime"),
        (("cleanup.policy", "compact"), "cleanup.policy=delete"),
        (("retention.ms", "86459999"), "retention.ms to at least 86460000"),
        (("retention.bytes", "1000000"), "retention.bytes=-1"),
    ] {
        let group = unique("group");
        let tier = format!("{topic}.{group}.retry.1m");
        let settings = [fit[0], setting];
        let settings = if setting.0 == fit[0].0 { &settings[1..] } else { &settings[..] };
        admin::create_topic_with(&servers, &tier, 1, settings).await;
        let refused = Session::refused(&with_a_tier(&servers), &topic, &group).await;
        assert!(matches!(refused, BrokerError::Misconfigured(_)), "{refused}");
        assert!(refused.to_string().contains(fix), "{refused}");
        assert!(refused.to_string().contains(&tier), "{refused}");
    }
}

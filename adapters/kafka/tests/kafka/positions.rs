//! Where a group begins when its position is gone.

use std::{collections::BTreeMap, time::Duration};

use steadfast::broker::BrokerError;
use steadfast_kafka::{KafkaBroker, Start};

use crate::{
    fresh_topic, publish,
    support::{
        admin, quick,
        session::{Session, place, until_is},
        unique,
    },
};

/// Commits behind the first two of six messages, and deletes the first four.
async fn lose_the_position(broker: &KafkaBroker, servers: &str, topic: &str, group: &str) {
    publish(broker, topic, &["0", "1", "2", "3", "4", "5"]).await;
    let mut session = Session::open(broker, topic, group).await;
    for _ in 0..2 {
        let delivery = session.next().await;
        session.ack(delivery).await;
    }
    session.close().await;
    let committed = async || admin::committed(servers, group, topic);
    until_is(BTreeMap::from([(0, 2)]), committed).await;
    admin::delete_before(servers, topic, 0, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_position_was_deleted_begins_with_the_oldest_message() {
    let (servers, topic) = fresh_topic("lost-position", 1).await;
    let (broker, group) = (quick(&servers), unique("group"));
    lose_the_position(&broker, &servers, &topic, &group).await;
    let mut session = Session::open(&broker, &topic, &group).await;
    let error = session.try_next().await.expect_err("the position is gone");
    assert!(matches!(error, BrokerError::Unavailable(_)), "{error}");
    assert!(error.to_string().contains("no longer exists"), "{error}");
    session.close().await;
    let mut session = Session::open(&broker, &topic, &group).await;
    for offset in [4, 5] {
        let delivery = session.next().await;
        assert_eq!(place(&delivery), (0, offset));
        session.ack(delivery).await;
    }
    session.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_refuses_to_begin_anew_says_where() {
    let (servers, topic) = fresh_topic("refused-position", 1).await;
    let (broker, group) = (quick(&servers), unique("group"));
    lose_the_position(&broker, &servers, &topic, &group).await;
    let broker = broker.start(Start::Refuse).commit_interval(Duration::from_millis(50));
    let mut session = Session::open(&broker, &topic, &group).await;
    session.try_next().await.expect_err("the position is gone");
    session.close().await;
    let refused = Session::refused(&broker, &topic, &group).await;
    assert!(matches!(refused, BrokerError::Misconfigured(_)), "{refused}");
    assert!(refused.to_string().contains(&format!("{topic}-0")), "{refused}");
}

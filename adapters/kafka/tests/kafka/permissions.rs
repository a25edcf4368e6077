//! What a consumer may not do any more.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use steadfast::{Consumer, HandlerError, Shutdown, handler_fn};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    fresh_topic, publish,
    support::{admin, classic, session::PATIENCE, unique},
};

/// Lets everybody describe this topic, and so nobody do anything else with it (Kafka protocol guide,
/// `CreateAcls`, key 30, version 1).
fn allow_describing_only(servers: &str, topic: &str) {
    const TOPIC: u8 = 2;
    const LITERAL: u8 = 3;
    const DESCRIBE: u8 = 8;
    const ALLOW: u8 = 3;
    let mut body = vec![0, 30, 0, 1, 0, 0, 0, 7, 0xff, 0xff];
    let string = |body: &mut Vec<u8>, text: &str| {
        body.extend(u16::try_from(text.len()).expect("it is short").to_be_bytes());
        body.extend(text.as_bytes());
    };
    body.extend(1_u32.to_be_bytes());
    body.push(TOPIC);
    string(&mut body, topic);
    body.push(LITERAL);
    string(&mut body, "User:*");
    string(&mut body, "*");
    body.extend([DESCRIBE, ALLOW]);
    let mut stream = TcpStream::connect(servers).expect("Kafka is there");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    stream.write_all(&u32::try_from(body.len()).expect("it is short").to_be_bytes()).expect("sent");
    stream.write_all(&body).expect("sent");
    // Length, correlation id, throttling, number of results, code of the first.
    let mut answer = [0; 18];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(answer[12..], [0, 0, 0, 1, 0, 0], "the rule is refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_may_not_read_any_more_ends_with_words() {
    let (servers, topic) = fresh_topic("forbidden", 2).await;
    let dead = unique("forbidden-dead");
    admin::create_topic(&servers, &dead, 1).await;
    let (handled, mut all_handled) = mpsc::unbounded_channel();
    let handler = handler_fn(move |_: String| {
        let handled = handled.clone();
        async move {
            let _ = handled.send(());
            Ok::<_, HandlerError>(())
        }
    });
    let broker = classic(&servers);
    let consumer = Consumer::builder("forbidden", handler)
        .source(&topic)
        .group(unique("group"))
        .dead_letter(&dead)
        .drain(Duration::from_secs(2))
        .build(broker.clone())
        .expect("a sound policy");
    let running = tokio::spawn(consumer.run(Shutdown::new()));
    publish(&broker, &topic, &["\"one\""]).await;
    timeout(PATIENCE, all_handled.recv()).await.expect("it is handled");

    allow_describing_only(&servers, &topic);
    let ended = timeout(PATIENCE, running).await.expect("it does not stand still");
    let error = ended.expect("it does not panic").expect_err("it may not read").to_string();
    assert!(error.contains("authorization") || error.contains("may not"), "{error}");
}

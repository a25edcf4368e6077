//! A server that takes connections and says nothing.

use std::time::Duration;

use steadfast::{
    Message,
    broker::{Broker, BrokerError, PublishError, Subscription},
};
use steadfast_rabbitmq::{Queue, RabbitMq};
use steadfast_test_servers::{Management, Proxy, Service};
use tokio::{net::TcpListener, time::Instant};

const DEADLINE: Duration = Duration::from_millis(500);

#[tokio::test]
async fn those_who_wait_for_a_silent_server_fail_together() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = silent.local_addr().expect("it is bound");
    let broker = RabbitMq::new(&format!("amqp://{address}")).expect("a URL").deadline(DEADLINE);
    let subscription = Subscription::new("orders", "billing");
    let began = Instant::now();
    let waiting = (0..40).map(|_| async { broker.subscribe(&subscription).await.err() });
    let errors = futures::future::join_all(waiting).await;
    assert!(errors.iter().all(|error| matches!(error, Some(BrokerError::Unavailable(_)))));
    assert!(began.elapsed() < DEADLINE * 10, "one after another: {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_that_gets_no_answer_takes_its_connection_along() {
    let url = Service::RabbitMq.url().expect("a server");
    let target = url.rsplit_once('@').expect("credentials").1.trim_end_matches("/%2f").to_owned();
    let proxy = Proxy::start(&target).await.expect("a port");
    let url = url.replacen(&target, &proxy.address().to_string(), 1);
    let name = format!("silent.{}", uuid::Uuid::new_v4().simple());
    let broker = RabbitMq::new(&url).expect("a URL").declare(Queue::classic(&name));
    // Long enough for a busy server to answer.
    let broker = broker.deadline(Duration::from_secs(6));
    let publisher = broker.publisher().await.expect("the server is there");
    let publish = async || match publisher.publish(&name, &Message::new("m")).await {
        Ok(()) => "confirmed".to_owned(),
        Err(PublishError::Unavailable(error)) => error.to_string(),
        Err(other) => panic!("{other}"),
    };
    assert_eq!(publish().await, "confirmed");
    proxy.stall();
    let late = format!("a message for queue `{name}`");
    let first = publish().await;
    assert!(first.contains(&late), "{first}");
    let second = publish().await;
    assert!(!second.contains(&late), "another connection is tried: {second}");
    let checked = publisher.check(&name).await;
    assert!(matches!(checked, Err(BrokerError::Unavailable(_))), "{checked:?}");
    proxy.pass();
    let confirmed = async {
        while publish().await != "confirmed" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), confirmed).await.expect("it goes on by itself");
    let management = Management::of(Service::RabbitMq);
    management.delete_queue(&name).await.expect("the queue is there");
}

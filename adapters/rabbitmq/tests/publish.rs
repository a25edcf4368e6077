//! Publishing goes on, whatever the server has closed before.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use steadfast::{
    Message,
    broker::{Broker, PublishError},
};
use steadfast_rabbitmq::{Queue, RabbitMq};
use steadfast_test_servers::{Management, Service};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

/// Each of these closes a channel, whose number is lost to the client: 2,047 are all that a connection has.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_comes_late_is_found_however_often_it_was_missed() {
    const TIMES: usize = 2100;
    let url = Service::RabbitMq.url().expect("a server");
    let name = format!("publish.{}", uuid::Uuid::new_v4().simple());
    let broker = RabbitMq::new(&url).expect("a URL");
    let publisher = broker.publisher().await.expect("the server is there");
    let message = Message::new("m");
    let publishing = stream::iter(0..TIMES).map(|_| publisher.publish(&name, &message));
    let publishing = publishing.buffer_unordered(32).collect::<Vec<_>>();
    let answers = timeout(PATIENCE, publishing).await.expect("answers in time");
    for answer in answers {
        assert!(matches!(answer, Err(PublishError::Unavailable(_))), "it is not there: {answer:?}");
    }

    let declaring = RabbitMq::new(&url).expect("a URL").declare(Queue::classic(&name));
    declaring.publisher().await.expect("it can be declared");
    let found = async {
        while publisher.publish(&name, &message).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, found).await.expect("it goes on by itself");
    publisher.check(&name).await.expect("it is there");
    let management = Management::of(Service::RabbitMq);
    management.delete_queue(&name).await.expect("the queue is there");
}

//! Middleware that injects faults.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use steadfast::{Delivery, Message, Middleware, Origin, Outcome, Process, Receipt};
use steadfast_mock::middleware::{Delay, Duplicate, FailRandomly};
use tokio::time::Instant;

#[derive(Default)]
struct Count(AtomicU32);

impl Count {
    fn runs(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Process for Count {
    async fn run(&self, _: &mut Delivery) -> Outcome {
        self.0.fetch_add(1, Ordering::Relaxed);
        Outcome::Done
    }
}

fn delivery() -> Delivery {
    Delivery::new(Message::new("a"), Origin::new("orders"), Receipt::new(1, 1))
}

#[tokio::test]
async fn every_nth_attempt_is_doubled() {
    let (duplicate, count) = (Duplicate::every(3), Count::default());
    for _ in 0..6 {
        assert_eq!(duplicate.process(&mut delivery(), &count).await, Outcome::Done);
    }
    assert_eq!(count.runs(), 8);
}

#[tokio::test]
async fn attempts_fail_before_and_after_the_effect() {
    let (fail, count) = (FailRandomly::new(7, 1.0), Count::default());
    for _ in 0..100 {
        assert_eq!(fail.process(&mut delivery(), &count).await.name(), "failed");
    }
    assert!((1..100).contains(&count.runs()), "{} ran", count.runs());
}

#[tokio::test]
async fn without_probability_nothing_fails() {
    let (fail, count) = (FailRandomly::new(7, 0.0), Count::default());
    assert_eq!(fail.process(&mut delivery(), &count).await, Outcome::Done);
    assert_eq!(count.runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_delay_takes_virtual_time_within_its_bounds() {
    let lengths = Duration::from_secs(60)..=Duration::from_secs(120);
    let (delay, count) = (Delay::new(7, lengths.clone()), Count::default());
    let begun = Instant::now();
    delay.process(&mut delivery(), &count).await;
    let rounding = Duration::from_millis(1);
    assert!((*lengths.start()..=*lengths.end() + rounding).contains(&begun.elapsed()));
    assert_eq!(count.runs(), 1);
}

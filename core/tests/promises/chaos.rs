//! Everything at once, by seed: faults of the broker and the store, crashes and handovers, and a
//! count afterwards of what was lost or doubled.

use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use steadfast::{
    Backoff, Context, Handler, HandlerError, Message, Retry,
    store::{MemoryStore, MemoryTransaction},
};
use steadfast_mock::{Chaos, FaultyStore, MockBroker, Point, Running};

use crate::support::{DEAD, Ledger, Order, SOURCE, by_id, consumer, failure, order};

const ORDERS: usize = 40;

/// Effects through the lent transaction, with every kind of failure on the way.
struct Effects(Ledger);

impl Handler for Effects {
    type Message = Order;

    async fn handle(&self, order: Order, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let (effects, id) = (self.0.clone(), order.id.clone());
        cx.lent::<MemoryTransaction>()
            .ok_or_else(|| failure("no transaction"))?
            .effect(move || effects.add(id));
        let number: usize = order.id.parse()?;
        tokio::time::sleep(Duration::from_millis(number as u64 * 37 % 900)).await;
        match (number % 8, cx.attempt()) {
            (1, 1) => Err(failure("once")),
            (2, _) => Err(HandlerError::permanent("never")),
            (3, 1 | 2) => panic!("twice"),
            _ => Ok(()),
        }
    }
}

/// Returns what happened, in order.
async fn life(seed: u64) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut broker = MockBroker::new().seed(seed).visibility(Duration::from_secs(20));
    broker = match seed % 4 {
        0 => broker,
        1 => broker.delays_by_copy(),
        2 => broker.without_delay(),
        _ => broker.without_delivery_counts(),
    };
    for number in 0..ORDERS {
        let copies = random.random_range(1..4);
        for _ in 0..copies {
            broker.publish(SOURCE, order(number));
        }
    }
    broker.publish(SOURCE, Message::new("not JSON"));
    let (effects, store) = (Ledger::default(), FaultyStore::new(MemoryStore::new()));
    let start = || -> Running {
        let stored = consumer(Effects(effects.clone()))
            .store(store.clone())
            .dedup_key(by_id())
            .transactional()
            // Kills count as attempts: this many never come together in one run.
            .retry(
                Retry::with_backoff(Backoff::exponential(
                    Duration::from_millis(100),
                    Duration::from_secs(20),
                ))
                .max_attempts(60),
            )
            .seed(seed)
            .concurrency(4);
        broker.start(stored.build(broker.clone()).unwrap())
    };
    broker.faults().chaos(Chaos::random(seed));
    store.fail_randomly(seed, 0.1);
    let mut members = vec![start(), start()];
    for _ in 0..random.random_range(2..8) {
        tokio::time::sleep(Duration::from_millis(random.random_range(0..4000))).await;
        let member = members.swap_remove(random.random_range(0..members.len()));
        match random.random_range(0..3) {
            0 => drop(member),
            1 => drop(member.stop().await),
            _ => {
                const POINTS: [Point; 6] = [
                    Point::BeforeReceive,
                    Point::AfterReceive,
                    Point::BeforePublish,
                    Point::AfterPublish,
                    Point::BeforeSettle,
                    Point::AfterSettle,
                ];
                broker.crash_at_hit(POINTS[random.random_range(0..6)], random.next_u32() % 8);
                // The point may never be reached again: then nothing crashes.
                let _ = tokio::time::timeout(Duration::from_secs(30), broker.crashed()).await;
                drop(member);
                members.clear();
            }
        }
        while members.len() < 2 {
            members.push(start());
        }
    }
    broker.faults().calm();
    store.calm();
    broker.settled(SOURCE).await;

    let counts = effects.counts();
    for number in 0..ORDERS {
        let times = counts.get(&number.to_string()).copied().unwrap_or_default();
        let expected = usize::from(number % 8 != 2);
        assert_eq!(times, expected, "effects of {number} with seed {seed}");
    }
    let letters = broker.dead_letters(DEAD);
    for number in (2..ORDERS).step_by(8) {
        let lies_there = |letter: &steadfast_mock::DeadLetter| {
            letter.message().key.as_deref() == Some(number.to_string().as_bytes())
        };
        assert!(letters.iter().any(|letter| lies_there(&letter)), "{number} is lost, seed {seed}");
    }
    let others = letters.iter().filter(|letter| {
        let key = letter.message().key.clone();
        key.is_some_and(|key| std::str::from_utf8(&key).unwrap().parse::<usize>().unwrap() % 8 != 2)
    });
    assert_eq!(others.count(), 0, "healthy messages in the dead letters, seed {seed}");
    assert!(letters.iter().any(|letter| letter.message().payload.as_deref() == Some(b"not JSON")));
    let mut happened = effects.entries();
    happened.extend([broker.deliveries(SOURCE).to_string(), letters.len().to_string()]);
    happened
}

#[test]
fn nothing_is_lost_or_doubled_whatever_happens() {
    let (first, seeds) = match std::env::var("STEADFAST_SEED") {
        Ok(seed) => (seed.parse().expect("STEADFAST_SEED is a number"), 1),
        Err(_) if std::env::var_os("STEADFAST_LONG").is_some() => (0, 5000),
        Err(_) => (0, 150),
    };
    for seed in first..first + seeds {
        println!("seed {seed}");
        run(seed);
    }
}

fn run(seed: u64) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(life(seed))
}

#[test]
fn a_seed_can_be_repeated() {
    for seed in 0..10 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

//! Faults at random.

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Faults that come at random, each with a probability of its own, all from one seed.
///
/// ```
/// # use steadfast_mock::{Chaos, MockBroker};
/// # let broker = MockBroker::new();
/// broker.faults().chaos(Chaos::random(7).broken_connections(0.0));
/// ```
///
/// Print the seed when a test fails. End the faults with [`Faults::calm`](crate::Faults::calm)
/// before you assert that everything settles.
#[derive(Debug)]
pub struct Chaos {
    rng: StdRng,
    lost_acks: f64,
    duplicates: f64,
    reordered: f64,
    failed_publishes: f64,
    lost_confirms: f64,
    failed_settles: f64,
    broken_connections: f64,
    refused_connections: f64,
}

/// Setters of probabilities, from 0 to 1.
///
/// # Panics
/// All of them panic for anything else.
impl Chaos {
    /// No faults, until probabilities are set.
    pub fn none(seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            lost_acks: 0.0,
            duplicates: 0.0,
            reordered: 0.0,
            failed_publishes: 0.0,
            lost_confirms: 0.0,
            failed_settles: 0.0,
            broken_connections: 0.0,
            refused_connections: 0.0,
        }
    }

    /// Probabilities from the seed too. Each kind of fault is absent from half of the seeds, since
    /// a fault that ends a run early hides what others would have shown; where it is present, it
    /// strikes up to one call in ten, and a connection up to one call in a hundred.
    pub fn random(seed: u64) -> Self {
        let mut chaos = Self::none(seed);
        let mut draw = |most: f64| {
            let strikes = chaos.rng.random_bool(0.5);
            let probability = chaos.rng.random_range(0.0..most);
            if strikes { probability } else { 0.0 }
        };
        let [acks, duplicates, reordered, publishes, confirms, settles] =
            std::array::from_fn(|_| draw(0.1));
        let (broken, refused) = (draw(0.01), draw(0.1));
        chaos
            .lost_acks(acks)
            .duplicates(duplicates)
            .reordered(reordered)
            .failed_publishes(publishes)
            .lost_confirms(confirms)
            .failed_settles(settles)
            .broken_connections(broken)
            .refused_connections(refused)
    }

    /// Acks that are lost.
    #[must_use]
    pub fn lost_acks(mut self, probability: f64) -> Self {
        self.lost_acks = checked(probability);
        self
    }

    /// Deliveries that are handed out twice.
    #[must_use]
    pub fn duplicates(mut self, probability: f64) -> Self {
        self.duplicates = checked(probability);
        self
    }

    /// Deliveries that are handed out before their turn.
    #[must_use]
    pub fn reordered(mut self, probability: f64) -> Self {
        self.reordered = checked(probability);
        self
    }

    /// Publishes that find their destination unavailable.
    #[must_use]
    pub fn failed_publishes(mut self, probability: f64) -> Self {
        self.failed_publishes = checked(probability);
        self
    }

    /// Publishes whose confirmation is lost.
    #[must_use]
    pub fn lost_confirms(mut self, probability: f64) -> Self {
        self.lost_confirms = checked(probability);
        self
    }

    /// Calls that settle nothing.
    #[must_use]
    pub fn failed_settles(mut self, probability: f64) -> Self {
        self.failed_settles = checked(probability);
        self
    }

    /// Calls that receive and find the connection broken: their session ends.
    #[must_use]
    pub fn broken_connections(mut self, probability: f64) -> Self {
        self.broken_connections = checked(probability);
        self
    }

    /// Subscribes that are refused.
    #[must_use]
    pub fn refused_connections(mut self, probability: f64) -> Self {
        self.refused_connections = checked(probability);
        self
    }

    pub(crate) fn loses_ack(&mut self) -> bool {
        self.rng.random_bool(self.lost_acks)
    }

    pub(crate) fn duplicates_delivery(&mut self) -> bool {
        self.rng.random_bool(self.duplicates)
    }

    pub(crate) fn reorders(&mut self) -> bool {
        self.rng.random_bool(self.reordered)
    }

    pub(crate) fn fails_publish(&mut self) -> bool {
        self.rng.random_bool(self.failed_publishes)
    }

    pub(crate) fn loses_confirm(&mut self) -> bool {
        self.rng.random_bool(self.lost_confirms)
    }

    pub(crate) fn fails_settle(&mut self) -> bool {
        self.rng.random_bool(self.failed_settles)
    }

    pub(crate) fn breaks_connection(&mut self) -> bool {
        self.rng.random_bool(self.broken_connections)
    }

    pub(crate) fn refuses_connection(&mut self) -> bool {
        self.rng.random_bool(self.refused_connections)
    }
}

fn checked(probability: f64) -> f64 {
    assert!((0.0..=1.0).contains(&probability), "{probability} is not a probability");
    probability
}

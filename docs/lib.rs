//! The guides, and the consumer that their examples are about. Each example is compiled, and run as a
//! doctest unless it needs a server, so that none can go stale.

pub mod billing;
pub mod shelf;

#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../README.md")]
    struct Readme;

    #[doc = include_str!("checks.md")]
    struct Checks;

    #[doc = include_str!("middleware.md")]
    struct Middleware;

    #[doc = include_str!("guarantees.md")]
    struct Guarantees;

    #[doc = include_str!("postgres.md")]
    struct Postgres;

    #[doc = include_str!("kafka.md")]
    struct Kafka;

    #[doc = include_str!("rabbitmq.md")]
    struct RabbitMq;

    #[doc = include_str!("testing.md")]
    struct Testing;

    #[doc = include_str!("writing-an-adapter.md")]
    struct WritingAnAdapter;
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_guides_show_the_consumer_that_they_test() {
        let billing = include_str!("billing.rs");
        assert!(include_str!("testing.md").contains(billing));
    }

    #[test]
    fn the_guide_for_adapters_shows_the_one_that_passes_the_suite() {
        let shelf = include_str!("shelf.rs");
        assert!(include_str!("writing-an-adapter.md").contains(shelf));
    }
}

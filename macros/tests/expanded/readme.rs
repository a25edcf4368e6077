#[automatically_derived]
impl ::steadfast::Declared for ChargeCard
where
    Self: ::steadfast::Handler,
    ::steadfast::Json: ::steadfast::Codec<Self::Message>,
{
    type Codec = ::steadfast::Json;
    fn consumer(self) -> ::steadfast::Builder<Self, Self::Codec> {
        ::steadfast::Consumer::builder("billing.charge-card", self)
            .source("orders")
            .group("billing")
            .dead_letter("orders.dead")
            .dedup_key(
                ::steadfast::DedupKey::field(|message: &Self::Message| &message.id),
            )
            .retry(
                ::steadfast::Retry::default()
                    .max_attempts(5)
                    .backoff(
                        ::steadfast::Backoff::exponential(
                            ::core::time::Duration::from_millis(200),
                            ::core::time::Duration::from_secs(30),
                        ),
                    ),
            )
    }
}

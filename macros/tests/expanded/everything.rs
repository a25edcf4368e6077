#[automatically_derived]
impl<T: Bound<'static>> ::steadfast::Declared for Handler<'static, T>
where
    T: facade::steadfast::Bound,
{
    type Codec = Checked<Vec<A>, 3>;
    fn consumer(self) -> ::steadfast::Builder<Self, Self::Codec> {
        ::steadfast::Consumer::builder("a", self)
            .source("s")
            .group("g")
            .dead_letter("d")
            .dedup_key(::steadfast::DedupKey::header("id"))
            .retry(
                ::steadfast::Retry::default()
                    .max_attempts(7)
                    .backoff(
                        ::steadfast::Backoff::exponential(
                                ::core::time::Duration::from_millis(100),
                                ::core::time::Duration::from_secs(60),
                            )
                            .floor(::core::time::Duration::from_millis(10)),
                    ),
            )
            .breaker(
                ::steadfast::BreakerPolicy::default()
                    .failure_ratio(0.5, 5)
                    .probes(
                        ::steadfast::Backoff::fixed(::core::time::Duration::from_secs(2)),
                    ),
            )
            .filter(wanted::<A, B>)
            .ordered_by(::steadfast::OrderedBy::Key)
            .concurrency(3)
            .timeout(::core::time::Duration::from_secs(4))
            .transactional()
            .limits({
                let mut limits = ::steadfast::Limits::default();
                limits.payload = 11;
                limits
            })
            .codec(<Self::Codec as ::core::default::Default>::default())
    }
}

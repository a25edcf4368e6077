//! The suite as tests of the user's own.

/// Makes each of the [cases](crate::broker::cases) a test of its own.
///
/// The first argument is a [`BrokerHarness`](crate::broker::BrokerHarness): an expression that is
/// evaluated in each test, and may `.await`. What follows it goes to `#[tokio::test(…)]`. The calling
/// crate needs `tokio` with the features `rt` and `macros` among its dependencies.
///
/// What a test cannot prove on this broker it says on stderr, with the reason.
///
/// ```
/// # macro_rules! ignore { ($($item:item)*) => {} }
/// # ignore! {
/// use steadfast_conformance::broker_suite;
///
/// mod queues {
///     broker_suite!(RabbitHarness::connect().await, flavor = "multi_thread");
/// }
///
/// /// Time is virtual there.
/// mod mock {
///     broker_suite!(MockHarness::new(), start_paused = true);
/// }
/// # }
/// ```
#[macro_export]
macro_rules! broker_suite {
    ($harness:expr $(, $($attribute:tt)*)?) => {
        $crate::__for_each_broker_case! { __broker_tests ($harness) ($($($attribute)*)?) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __broker_tests {
    ([($harness:expr) $attributes:tt] $($topic:ident { $($case:ident)* })*) => {
        $(
            mod $topic {
                #[allow(unused_imports, reason = "the harness may be named by its whole path")]
                use super::*;

                $(
                    #[tokio::test $attributes]
                    async fn $case() {
                        let harness = $harness;
                        let proof = $crate::broker::cases::$topic::$case(&harness).await;
                        let test = concat!(module_path!(), "::", stringify!($case));
                        $crate::broker::report(test, &proof.into());
                    }
                )*
            }
        )*
    };
}

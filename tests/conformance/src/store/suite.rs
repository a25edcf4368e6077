//! The suite as tests of the user's own.

/// Makes each of the [cases](crate::store::cases) a test of its own.
///
/// The first argument is a [`StoreHarness`](crate::store::StoreHarness): an expression that is
/// evaluated in each test, and may `.await`. What follows it goes to `#[tokio::test(…)]`. The calling
/// crate needs `tokio` with the features `rt` and `macros` among its dependencies.
///
/// ```
/// # macro_rules! ignore { ($($item:item)*) => {} }
/// use steadfast_conformance::{store::MemoryHarness, store_suite};
///
/// store_suite!(MemoryHarness::new(), start_paused = true);
/// # ignore! {
///
/// // A store on a server: time is real there, and so are threads.
/// mod postgres {
///     use super::*;
///     store_suite!(PostgresHarness::connect().await, flavor = "multi_thread");
/// }
/// # }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! store_suite {
    ($harness:expr $(, $($attribute:tt)*)?) => {
        $crate::__for_each_store_case! { __store_tests ($harness) ($($($attribute)*)?) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __store_tests {
    ([($harness:expr) $attributes:tt] $($topic:ident { $($case:ident)* })*) => {
        $(
            mod $topic {
                #[allow(unused_imports, reason = "the harness may be named by its whole path")]
                use super::*;

                $(
                    #[tokio::test $attributes]
                    async fn $case() {
                        let harness = $harness;
                        $crate::store::cases::$topic::$case(&harness).await;
                    }
                )*
            }
        )*
    };
}

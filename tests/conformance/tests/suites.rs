//! Says which suites `cargo test` alone leaves out, and how to run everything.

fn main() {
    // A test runner that collects the names of tests finds none here.
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    println!("`cargo test` leaves out the suites that need servers. At present there are none.");
    println!(
        "Everything that CI checks: `cargo xtask test`; with the long runs: `cargo xtask test --long`."
    );
}

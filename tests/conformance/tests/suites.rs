//! Says what `cargo test` alone needs, and how to run everything.

fn main() {
    // A test runner that collects the names of tests finds none here.
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    println!("The adapters' tests need servers: `cargo xtask services up` starts them.");
    println!(
        "Everything that CI checks: `cargo xtask test`; with the long runs: `cargo xtask test --long`."
    );
}

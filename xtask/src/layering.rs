//! The core stands alone: no broker client, no database, no network stack in its default tree.

use anyhow::{Context as _, Result, bail, ensure};

use crate::workspace::Workspace;

/// Crate names that the core must not depend on; a `*` at the end stands for any ending.
const FORBIDDEN: &[&str] = &[
    // Broker clients.
    "rdkafka*",
    "rskafka",
    "kafka*",
    "lapin",
    "amq-protocol*",
    "amqprs",
    "aws-*",
    "google-cloud-*",
    "gcloud-*",
    "async-nats",
    "pulsar",
    // Databases.
    "sqlx*",
    "tokio-postgres*",
    "postgres*",
    "diesel*",
    "sea-orm*",
    "rusqlite",
    "libsqlite3-sys",
    "redis",
    "fred",
    "mongodb",
    "deadpool*",
    "bb8*",
    // Network stacks, which such clients bring along.
    "tonic*",
    "prost*",
    "hyper*",
    "h2",
    "reqwest",
    "rustls*",
    "native-tls",
    "openssl*",
    // Unmaintained: only behind the feature `backoff`.
    "backoff",
    "instant",
    // For tests: only behind the feature `mock`.
    "mockall*",
];

/// Looks at what `steadfast` pulls in with its default features, on every platform.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let args = "tree --package steadfast --edges normal --target all --prefix none --format {p}";
    println!("    $ cargo {args}");
    let output = workspace.cargo(args.split(' ')).output().context("cannot start cargo")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`cargo tree` ended with {}\n{complaint}", output.status);
    let tree = String::from_utf8_lossy(&output.stdout);
    let found = forbidden_in(&tree);
    if let Some(first) = found.first() {
        bail!(
            "the core pulls in {}; see why with `cargo tree -p steadfast -e normal --target all -i {first}`",
            found.join(", ")
        );
    }
    println!(
        "    none of {} crates is a client, a database or a network stack",
        names(&tree).len()
    );
    Ok(())
}

/// The forbidden names in a tree of one `name version` a line.
fn forbidden_in(tree: &str) -> Vec<&str> {
    let mut names = names(tree);
    names.retain(|name| FORBIDDEN.iter().any(|pattern| is_like(pattern, name)));
    names
}

fn names(tree: &str) -> Vec<&str> {
    let mut names: Vec<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn is_like(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::forbidden_in;

    #[test]
    fn a_tree_of_plain_libraries_is_fine() {
        let tree =
            "steadfast v0.1.0 (/somewhere/core)\nbytes v1.12.2\nasync-trait v0.1.92 (proc-macro)\n";
        assert_eq!(forbidden_in(tree), [""; 0]);
    }

    #[test]
    fn a_forbidden_crate_is_named_once_however_often_it_appears() {
        let tree = "steadfast v0.1.0\nlapin v3.0.0\nbytes v1.12.2\nlapin v3.0.0 (*)\n";
        assert_eq!(forbidden_in(tree), ["lapin"]);
    }

    #[test]
    fn a_family_of_crates_is_forbidden_by_its_beginning() {
        let tree = "aws-sdk-sqs v1.80.0\nsqlx-core v0.8.6\n";
        assert_eq!(forbidden_in(tree), ["aws-sdk-sqs", "sqlx-core"]);
    }

    #[test]
    fn a_name_that_only_begins_alike_is_not_forbidden() {
        assert_eq!(forbidden_in("backon v1.6.0\nlapinou v0.1.0\ninstantly v1.0.0\n"), [""; 0]);
    }
}

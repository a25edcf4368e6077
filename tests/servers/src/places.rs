//! Where servers live and where what they are made of is kept.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use nix::unistd::geteuid;

/// The folder of the server that `cargo xtask services up` starts: in the target folder.
pub(crate) fn service(name: &str) -> PathBuf {
    target().join("services").join(name)
}

/// Where cargo builds. A relative `CARGO_TARGET_DIR` is meant from the top of the checkout.
fn target() -> PathBuf {
    let root = checkout();
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root.join(folder),
        None => root.join("target"),
    }
}

/// The top of the checkout.
pub(crate) fn checkout() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Downloads, once for the machine and all checkouts: `$XDG_CACHE_HOME/steadfast`. Root's home is
/// closed to the users that servers run as: root's downloads are in `/var/cache/steadfast`.
pub(crate) fn cache() -> Result<PathBuf> {
    let named = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = match (named, env::home_dir()) {
        (Some(cache), _) => cache,
        (None, _) if geteuid().is_root() => PathBuf::from("/var/cache"),
        (None, Some(home)) => home.join(".cache"),
        (None, None) => bail!("no home folder to keep downloads in: set XDG_CACHE_HOME"),
    };
    Ok(cache.join("steadfast"))
}

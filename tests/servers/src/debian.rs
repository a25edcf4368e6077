//! Debian's packages as they are, without installing them and on any machine that has apt: fetched by an apt
//! with a state of its own, unpacked into the cache with everything that they need.
//!
//! Nothing of the machine changes and nothing of it is used: no service starts, no user is made, root is
//! not needed. Programs run with the C library of their own release, so that those of a newer Debian run on an
//! older one.

use std::{
    env::{self, consts::ARCH},
    fs::{self, File},
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{places, say};

const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The folder with a package of this release and all that it needs, as if it were `/`.
pub(crate) fn unpacked(release: &str, package: &str) -> Result<PathBuf> {
    let suite = places::cache()?.join("debian").join(format!("{release}-{ARCH}"));
    fs::create_dir_all(&suite).with_context(|| format!("cannot make {}", suite.display()))?;
    let lock = File::create(suite.join("lock"))?;
    lock.lock().context("cannot lock the cache")?;

    let root = suite.join(package);
    if root.exists() {
        return Ok(root);
    }
    for needed in ["/usr/bin/apt-get", "/usr/bin/dpkg", KEYS] {
        ensure!(
            Path::new(needed).exists(),
            "Debian's packages cannot be fetched without {needed}: this works on Debian, and on Ubuntu \
             after `apt-get install debian-archive-keyring`"
        );
    }
    // It takes its name when it is whole.
    let unfinished = suite.join(format!("{package}.unfinished"));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).context("cannot clear the cache")?;
    }
    let archives = unfinished.join("archives");
    fs::create_dir_all(archives.join("partial"))?;
    say(&format!("fetching {package} of Debian {release}, which takes a minute, but once"));
    fetch(release, package, &suite.join("apt"), &archives)?;
    for entry in fs::read_dir(&archives)? {
        let archive = entry?.path();
        if archive.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg").arg("-x").arg(archive).arg(&unfinished))?;
        }
    }
    fs::remove_dir_all(archives)?;
    wrap_programs_in(&unfinished, &start_line(&unfinished, &root)?)?;
    fs::rename(&unfinished, &root).context("cannot name what was unpacked")?;
    Ok(root)
}

/// Downloads by an apt that believes that nothing is installed, so that it takes all that is needed.
fn fetch(release: &str, package: &str, state: &Path, archives: &Path) -> Result<()> {
    fs::create_dir_all(state.join("lists/partial"))?;
    fs::write(state.join("status"), "")?;
    let sources = format!("deb [signed-by={KEYS}] {} {release} main\n", mirror()?);
    fs::write(state.join("sources.list"), sources)?;
    let apt = |arguments: &[&str]| {
        let mut apt = Command::new("apt-get");
        for (setting, value) in [
            ("Dir::State", state),
            ("Dir::State::status", &state.join("status")),
            ("Dir::Cache", state),
            ("Dir::Cache::archives", archives),
            ("Dir::Etc::sourcelist", &state.join("sources.list")),
            ("Dir::Etc::sourceparts", Path::new("/dev/null")),
            ("Debug::NoLocking", Path::new("1")),
            ("APT::Sandbox::User", Path::new("")),
        ] {
            apt.arg("-o").arg(format!("{setting}={}", value.display()));
        }
        run(apt.args(arguments))
    };
    apt(&["update", "-qq"])?;
    apt(&["install", "--download-only", "--yes", "--no-install-recommends", "-qq", package])
}

/// The mirror of Debian that this machine's apt uses, or that the variable names.
fn mirror() -> Result<String> {
    const VARIABLE: &str = "STEADFAST_DEBIAN_MIRROR";
    if let Ok(mirror) = env::var(VARIABLE) {
        return Ok(mirror);
    }
    let mut lists = vec![PathBuf::from("/etc/apt/sources.list")];
    lists.extend(entries(Path::new("/etc/apt/sources.list.d")));
    lists.iter().find_map(|list| mirror_in(&fs::read_to_string(list).ok()?)).with_context(|| {
        format!(
            "apt has no mirror of Debian here: name one in {VARIABLE}, as <scheme>://<host>/debian"
        )
    })
}

/// In a list of either form, `deb <mirror> …` or `URIs: <mirror>`.
fn mirror_in(list: &str) -> Option<String> {
    let lines = list.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mut words = lines.flat_map(str::split_whitespace);
    let mirror =
        |word: &&str| word.contains("://") && word.trim_end_matches('/').ends_with("/debian");
    words.find(mirror).map(str::to_owned)
}

/// How a program of the package is started: by its own release's loader, with its own libraries.
fn start_line(unpacked: &Path, root: &Path) -> Result<String> {
    let folders = ["lib", "usr/lib"].map(|lib| Path::new(lib).join(format!("{ARCH}-linux-gnu")));
    let files = folders.iter().flat_map(|folder| entries(&unpacked.join(folder)));
    let loader = files.into_iter().find(|file| {
        file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-linux"))
    });
    let loader = loader.context("the packages bring no loader")?;
    let loader = root.join(loader.strip_prefix(unpacked)?);
    let libraries = folders.map(|folder| root.join(folder).display().to_string()).join(":");
    Ok(format!("exec '{}' --library-path '{libraries}' --argv0 \"$0\"", loader.display()))
}

/// Puts a script in the place of every program, which starts it with its own libraries. The machine's own
/// programs, which it may start in turn, keep theirs.
fn wrap_programs_in(folder: &Path, start_line: &str) -> Result<()> {
    for path in entries(folder) {
        let about = fs::symlink_metadata(&path)?;
        if about.is_dir() {
            wrap_programs_in(&path, start_line)?;
        } else if about.is_file() && about.permissions().mode() & 0o111 != 0 && is_program(&path)? {
            let program = path.with_added_extension("elf");
            fs::rename(&path, &program)?;
            let name = program.file_name().unwrap_or_default().to_string_lossy();
            // `$0` may be a link in another folder.
            let script = format!(
                "#!/bin/sh\n{start_line} \"$(dirname \"$(readlink -f \"$0\")\")/{name}\" \"$@\"\n"
            );
            fs::write(&path, script)?;
            fs::set_permissions(&path, about.permissions())?;
        }
    }
    Ok(())
}

fn is_program(path: &Path) -> Result<bool> {
    if path.file_name().is_some_and(|name| name.to_string_lossy().contains(".so")) {
        return Ok(false);
    }
    let mut beginning = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut beginning)?;
    Ok(beginning == b"\x7fELF")
}

/// What is in the folder, by name; nothing where there is no such folder.
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort_unstable();
    paths
}

/// Runs it without a terminal; its words are in the error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C").stdin(Stdio::null());
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start {program}"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("{program} ended with {}:\n{}", output.status, words.trim_end());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::mirror_in;

    #[test]
    fn a_mirror_is_found_in_lists_of_both_forms() {
        let old = "# deb http://old.example/debian bookworm main\n\
                   deb [arch=amd64] https://mirror.example/debian/ bookworm main\n";
        assert_eq!(mirror_in(old).as_deref(), Some("https://mirror.example/debian/"));
        let new = "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\n";
        assert_eq!(mirror_in(new).as_deref(), Some("http://mirror.example/debian"));
        let others =
            "URIs: http://mirror.example/debian-security\nURIs: http://mirror.example/ubuntu\n";
        assert_eq!(mirror_in(others), None);
    }
}

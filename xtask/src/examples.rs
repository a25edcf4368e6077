//! Every folder in `examples/` prints what its `expected.txt` says.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use crate::{
    capture::{Captured, capture},
    expected::{self, Block},
    totals::Totals,
    workspace::Workspace,
};

/// A guard against an example that never ends; it includes building it on a slow machine.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Runs the examples one after the other, each counted as a test.
pub(crate) fn check(workspace: &Workspace) -> Result<Totals> {
    let folders = folders(&workspace.root().join("examples"))?;
    ensure!(!folders.is_empty(), "examples/ has no folder");
    let mut totals = Totals::default();
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let started = Instant::now();
        match check_folder(workspace, &folder) {
            Ok(()) => {
                println!("    {name} ok {:.1} s", started.elapsed().as_secs_f64());
                totals += Totals::PASSED;
            }
            Err(problem) => {
                println!("    {name} FAILED: {problem:#}");
                totals += Totals::FAILED;
            }
        }
    }
    Ok(totals)
}

fn folders(examples: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(examples).context("cannot read examples/")? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

fn check_folder(workspace: &Workspace, folder: &Path) -> Result<()> {
    let text = fs::read_to_string(folder.join("expected.txt"))
        .context("cannot read its expected.txt, which every example has")?;
    for block in expected::parse(&text).context("expected.txt")? {
        println!("    $ {}", block.command);
        check_block(workspace, &block)?;
    }
    Ok(())
}

fn check_block(workspace: &Workspace, block: &Block) -> Result<()> {
    let [program, args @ ..] = block.words.as_slice() else {
        bail!("no program in `{}`", block.command);
    };
    let mut command = workspace.command(program);
    // Colours would stand between the words that expected.txt spells.
    command.args(args).env("NO_COLOR", "1").env("CARGO_TERM_COLOR", "never");
    command.envs(block.environment.iter().cloned());
    let Captured { output, status } =
        capture(command, LIMIT).with_context(|| format!("`{}`", block.command))?;
    let checked = match status {
        Some(status) => block.check(&output, status.code()),
        None => Err(anyhow!("it did not end within {} s", LIMIT.as_secs())),
    };
    checked.map_err(|problem| anyhow!("{problem:#}\n--- the whole output:\n{output}---"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{check_block, check_folder};
    use crate::expected;
    use crate::workspace::Workspace;

    fn problem(expected: &str) -> String {
        let workspace = Workspace::find().expect("the checkout is there");
        let blocks = expected::parse(expected).expect("well formed");
        let problem = check_block(&workspace, &blocks[0]).expect_err("it expects too much");
        problem.to_string()
    }

    #[test]
    fn a_failure_shows_the_missing_line_and_the_whole_output() {
        let problem = problem("$ cargo --version\ncargo *\nnever printed\n");
        assert!(problem.starts_with("no line like `never printed` appeared after `cargo *`\n"));
        assert!(problem.contains("output:\ncargo "), "{problem}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let problem = problem("$ no-such-program --help\nexit: 0\n");
        assert!(problem.contains("no-such-program"), "{problem}");
    }

    #[test]
    fn a_folder_without_expected_txt_fails() {
        let workspace = Workspace::find().expect("the checkout is there");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let problem = check_folder(&workspace, &source).expect_err("it is no example");
        assert!(problem.to_string().contains("expected.txt"), "{problem}");
    }
}

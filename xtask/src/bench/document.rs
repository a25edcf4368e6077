//! The page that holds the results: `docs/benchmarks.md`.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

use crate::workspace::Workspace;

/// The page. What people write stands between the sections that benchmarks write.
pub(crate) struct Document(PathBuf);

impl Document {
    pub(crate) fn of(workspace: &Workspace) -> Self {
        Self(workspace.root().join("docs/benchmarks.md"))
    }

    /// Puts what was measured in the place of the last results of this benchmark.
    pub(crate) fn replace(&self, benchmark: &str, section: &str) -> Result<()> {
        let path = self.0.display();
        let page = fs::read_to_string(&self.0).with_context(|| format!("cannot read {path}"))?;
        let page = with_section(&page, benchmark, section).with_context(|| {
            format!("{path} has no `<!-- results: {benchmark} -->` and `<!-- end -->` behind it")
        })?;
        fs::write(&self.0, page).with_context(|| format!("cannot write {path}"))?;
        println!("written to {path}");
        Ok(())
    }
}

fn with_section(page: &str, benchmark: &str, section: &str) -> Option<String> {
    let begin = format!("<!-- results: {benchmark} -->\n");
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once("<!-- end -->")?;
    Some(format!("{before}{begin}\n{}\n\n<!-- end -->{after}", section.trim()))
}

#[cfg(test)]
mod tests {
    use super::with_section;

    #[test]
    fn only_the_results_of_the_one_benchmark_are_replaced() {
        let page = "a\n<!-- results: core -->\nold\n<!-- end -->\nb\n\
                    <!-- results: kafka -->\nkept\n<!-- end -->\n";
        let written = "a\n<!-- results: core -->\n\nnew\n\n<!-- end -->\nb\n\
                       <!-- results: kafka -->\nkept\n<!-- end -->\n";
        assert_eq!(with_section(page, "core", "new\n").as_deref(), Some(written));
        assert_eq!(with_section(page, "sqs", "new"), None);
    }
}

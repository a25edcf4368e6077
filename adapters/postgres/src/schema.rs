//! The schema's name, and the statements with it.

use std::sync::Arc;

use sqlx::AssertSqlSafe;

use crate::ConnectError;

/// The name of the schema that holds the tables: checked, so that it may stand in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schema(Arc<str>);

impl Schema {
    pub(crate) const DEFAULT: &str = "steadfast";

    pub(crate) fn new(name: &str) -> Result<Self, ConnectError> {
        /// PostgreSQL cuts longer identifiers off: 63 bytes.
        const MAX: usize = 63;
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let begins = |c: char| c.is_ascii_lowercase() || c == '_';
        let reserved = name.starts_with("pg_") || name == "information_schema";
        if name.len() > MAX || !name.starts_with(begins) || !name.chars().all(fits) || reserved {
            return Err(ConnectError::Schema(name.chars().take(MAX).collect()));
        }
        Ok(Self(name.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// A statement in which `{schema}` stands for the name. It stands in quotes there.
    pub(crate) fn render(&self, statement: &str) -> AssertSqlSafe<Arc<str>> {
        AssertSqlSafe(statement.replace("{schema}", &self.0).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_be_more_than_a_name_is_refused() {
        for good in ["steadfast", "_a1", &"s".repeat(63)] {
            assert!(Schema::new(good).is_ok(), "{good}");
        }
        for bad in ["", "1a", "A", "a\"; drop table x; --", "ä", "pg_catalog", &"s".repeat(64)] {
            let refused = Schema::new(bad).unwrap_err().to_string();
            assert!(refused.contains("lower-case"), "{bad}: {refused}");
        }
    }
}

//! `expected.txt`: the commands of an example and the lines that they must print.
//!
//! ```text
//! $ RUST_LOG=info cargo run --quiet -p quickstart
//! * order 42 was charged once
//! exit: 0
//! ```
//!
//! Each line must appear in the output after the one before it; other lines may stand between
//! them. `*` stands for any characters. A block ends at the next `$` line; empty lines mean nothing.

use anyhow::{Context as _, Result, bail, ensure};

use crate::pattern::matches;

/// One command and what is expected of it.
#[derive(Debug, PartialEq)]
pub(crate) struct Block {
    /// The command as written.
    pub(crate) command: String,
    /// The `NAME=value` words before the program.
    pub(crate) environment: Vec<(String, String)>,
    /// The program and its arguments.
    pub(crate) words: Vec<String>,
    lines: Vec<String>,
    exit: Option<i32>,
}

/// Reads the whole file.
pub(crate) fn parse(text: &str) -> Result<Vec<Block>> {
    let mut blocks: Vec<Block> = Vec::new();
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    for line in lines {
        if let Some(command) = line.strip_prefix("$ ") {
            blocks.push(Block::new(command)?);
            continue;
        }
        let block = blocks.last_mut().context("the first line must be `$ ` and a command")?;
        block.expect(line)?;
    }
    ensure!(!blocks.is_empty(), "there is no line with `$ ` and a command");
    for Block { command, lines, exit, .. } in &blocks {
        ensure!(!lines.is_empty() || exit.is_some(), "nothing is expected of `{command}`");
    }
    Ok(blocks)
}

impl Block {
    fn new(command: &str) -> Result<Self> {
        let words =
            shlex::split(command).with_context(|| format!("an open quote in `{command}`"))?;
        let mut words = words.into_iter().peekable();
        let mut environment = Vec::new();
        while let Some(variable) = words.peek().and_then(|word| as_variable(word)) {
            environment.push(variable);
            words.next();
        }
        let words: Vec<_> = words.collect();
        ensure!(!words.is_empty(), "no program in `{command}`");
        Ok(Self { command: command.to_owned(), environment, words, lines: Vec::new(), exit: None })
    }

    fn expect(&mut self, line: &str) -> Result<()> {
        ensure!(
            self.exit.is_none(),
            "`{line}` stands after the `exit:` line of `{}`",
            self.command
        );
        match line.strip_prefix("exit: ") {
            Some(code) => self.exit = Some(code.parse().with_context(|| format!("in `{line}`"))?),
            None => self.lines.push(line.to_owned()),
        }
        Ok(())
    }

    /// Compares with what the command printed and how it ended (`None`: by a signal).
    pub(crate) fn check(&self, output: &str, exit: Option<i32>) -> Result<()> {
        let mut rest = output.lines().map(str::trim_end);
        let mut before = None;
        for expected in &self.lines {
            if !rest.any(|line| matches(expected, line)) {
                let place = before.map_or_else(String::new, |line| format!(" after `{line}`"));
                bail!("no line like `{expected}` appeared{place}");
            }
            before = Some(expected);
        }
        let wanted = self.exit.unwrap_or(0);
        let found = exit.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
        ensure!(exit == Some(wanted), "the exit code is {found}, not {wanted}");
        Ok(())
    }
}

fn as_variable(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let plain = !name.is_empty() && name.chars().all(is_name);
    plain.then(|| (name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{Block, parse};

    fn block(text: &str) -> Block {
        let mut blocks = parse(text).expect("the text is well formed");
        assert_eq!(blocks.len(), 1);
        blocks.remove(0)
    }

    fn problem(text: &str) -> String {
        format!("{:#}", parse(text).expect_err("the text is malformed"))
    }

    #[test]
    fn a_command_may_begin_with_its_environment() {
        let block = block("$ A=1 B_2='two words' cargo run -- x=y\nok\n");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(block.environment, [pair("A", "1"), pair("B_2", "two words")]);
        assert_eq!(block.words, ["cargo", "run", "--", "x=y"]);
    }

    #[test]
    fn several_commands_make_several_blocks() {
        let blocks = parse("$ first\none\n\n$ second\ntwo\nexit: 3\n").expect("well formed");
        let commands: Vec<_> = blocks.iter().map(|block| block.command.as_str()).collect();
        assert_eq!(commands, ["first", "second"]);
        assert!(blocks[1].check("two\n", Some(3)).is_ok());
    }

    #[test]
    fn lines_must_appear_in_order_with_others_between() {
        let block = block("$ run\nfirst\nsecond *\n");
        assert!(block.check("noise\nfirst\nnoise\nsecond 2\nnoise\n", Some(0)).is_ok());
        let error = block.check("second 2\nfirst\n", Some(0)).expect_err("wrong order");
        assert_eq!(error.to_string(), "no line like `second *` appeared after `first`");
    }

    #[test]
    fn one_line_of_output_serves_one_expected_line() {
        let block = block("$ run\ncharged *\ncharged *\n");
        assert!(block.check("charged 1\n", Some(0)).is_err());
        assert!(block.check("charged 1\ncharged 2\n", Some(0)).is_ok());
    }

    #[test]
    fn the_exit_code_is_zero_unless_said_otherwise() {
        let silent = block("$ run\nok\n");
        assert!(silent.check("ok\n", Some(1)).is_err());
        assert!(silent.check("ok\n", None).is_err());
        let failing = block("$ run\nexit: 2\n");
        assert!(failing.check("", Some(2)).is_ok());
        assert!(failing.check("", Some(0)).is_err());
    }

    #[test]
    fn a_malformed_file_is_refused_in_words() {
        assert_eq!(problem(""), "there is no line with `$ ` and a command");
        assert_eq!(problem("ok\n"), "the first line must be `$ ` and a command");
        assert_eq!(problem("$ A=1\nok\n"), "no program in `A=1`");
        assert_eq!(problem("$ run 'x\nok\n"), "an open quote in `run 'x`");
        assert_eq!(problem("$ run\n"), "nothing is expected of `run`");
        assert_eq!(problem("$ run\nexit: 0\nok\n"), "`ok` stands after the `exit:` line of `run`");
        assert!(problem("$ run\nexit: zero\n").starts_with("in `exit: zero`"));
    }
}

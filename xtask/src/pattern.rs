//! Lines with a `*` for what differs from run to run.

/// Whether the whole line is like the pattern, in which `*` stands for any characters or none.
pub(crate) fn matches(pattern: &str, line: &str) -> bool {
    let Some((beginning, rest)) = pattern.split_once('*') else {
        return pattern == line;
    };
    let Some(mut line) = line.strip_prefix(beginning) else {
        return false;
    };
    let (middle, ending) = rest.rsplit_once('*').unwrap_or(("", rest));
    // The earliest place for each piece leaves the most room for those after it.
    for piece in middle.split('*') {
        match line.split_once(piece) {
            Some((_, after)) => line = after,
            None => return false,
        }
    }
    line.ends_with(ending)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_matches_any_run_of_characters_within_a_line() {
        for (pattern, line) in [
            ("done", "done"),
            ("*", ""),
            ("*", "anything"),
            ("* done", "12:00 order 42 done"),
            ("order * done", "order 42 done"),
            ("order *", "order 42 done"),
            ("*42*", "order 42 done"),
            ("a*b*c", "a-b-b-c"),
            ("a**c", "abc"),
            ("*ab", "abab"),
        ] {
            assert!(matches(pattern, line), "{pattern} should match {line}");
        }
    }

    #[test]
    fn what_stands_outside_the_stars_must_be_the_whole_rest_of_the_line() {
        for (pattern, line) in [
            ("done", "done."),
            ("done", "not done"),
            ("", "something"),
            ("order *", "an order 42"),
            ("* done", "order done twice"),
            ("a*b*c", "a-c-b"),
            ("ab*bc", "abc"),
            ("aa*a", "aa"),
        ] {
            assert!(!matches(pattern, line), "{pattern} should not match {line}");
        }
    }
}

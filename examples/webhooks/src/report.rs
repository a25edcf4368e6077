//! What is printed at the end.

use std::{fmt::Write as _, time::Duration};

use steadfast::Reason;

use crate::{
    job::Job,
    manifest::Account,
    plan::{PANICKING, REFUSED, UNWANTED},
    progress::per_second,
    table::{Table, grouped},
    tally::Tally,
    verdict::Verdict,
};

/// The report on a job, as far as it has come.
pub(crate) struct Report {
    /// Everything but the last line.
    pub(crate) text: String,
    /// The last line.
    pub(crate) summary: String,
    pub(crate) problems: Vec<String>,
}

/// Kinds that are shown one by one, beside those that are treated specially.
const SHOWN_KINDS: usize = 12;

impl Report {
    /// # Errors
    /// When the effects cannot be counted.
    pub(crate) async fn on(job: &Job, elapsed: Duration) -> Result<Self, String> {
        let messages = job.manifest.account().messages.len();
        let counts = job.ledger.counts(messages).await?;
        let account = job.manifest.account();
        let verdict = Verdict::of(&account, &counts, job.plan);
        let tally = &*job.tally;
        let mut text = headline(&account, tally, elapsed);
        let sections =
            [deliveries(tally), kinds(&account, &counts), dead(&account, verdict.cut_intact)];
        // Writing to a String does not fail.
        for section in sections.iter().filter(|section| !section.is_empty()) {
            let _ = write!(text, "\n{section}");
        }
        let stories = job.shown.lines();
        if !stories.is_empty() {
            let _ = writeln!(text, "\nthe first {} dead letters, as they came", stories.len());
        }
        for story in stories {
            let _ = writeln!(text, "  {story}");
        }
        let summary = summary(tally, &verdict);
        Ok(Self { text, summary, problems: verdict.problems })
    }
}

fn headline(account: &Account, tally: &Tally, elapsed: Duration) -> String {
    let (messages, seconds) = (account.messages.len() as u64, elapsed.as_secs_f64());
    format!(
        "{} webhooks in {} copies, {seconds:.1} s: {} webhooks/s, {} deliveries/s\n",
        grouped(messages),
        grouped(tally.sent.get()),
        grouped(per_second(messages, elapsed)),
        grouped(per_second(tally.deliveries(), elapsed)),
    )
}

fn deliveries(tally: &Tally) -> Table {
    let mut table = Table::headed("deliveries by outcome", &[""]);
    table.row("done", &[tally.done.get()], "");
    table.row("duplicate of one done", &[tally.duplicates_of_done.get()], "");
    table.row("duplicate of one dead", &[tally.duplicates_of_dead.get()], "");
    table.row("ignored", &[tally.ignored.get()], "");
    let words = "each copy of an undecodable body: it has no record";
    table.row("dead-lettered", &[tally.dead.get()], words);
    let words = "to be delivered again: a connection broke, or an outage";
    table.row("given back", &[tally.given_back.get()], words);
    table
}

fn kinds(account: &Account, counts: &[u32]) -> Table {
    const COLUMNS: [&str; 4] = ["all", "done", "dead", "ignored"];
    let mut kinds: Vec<(&str, [u64; 4])> =
        account.kinds.iter().map(|kind| (kind.as_str(), [0; 4])).collect();
    for (line, effects) in account.messages.iter().zip(counts) {
        if let Some((_, numbers)) = kinds.get_mut(usize::from(line.kind)) {
            let ended = [true, *effects > 0, line.dead.is_some(), line.ignored];
            numbers.iter_mut().zip(ended).for_each(|(number, ended)| *number += u64::from(ended));
        }
    }
    kinds.sort_by_key(|(kind, [all, ..])| (u64::MAX - all, *kind));
    let (special, plain): (Vec<_>, Vec<_>) =
        kinds.into_iter().partition(|(kind, _)| !treatment(kind).is_empty());
    let (shown, rest) = plain.split_at(plain.len().min(SHOWN_KINDS));

    let mut table = Table::headed("webhooks by event", &COLUMNS);
    for (kind, numbers) in shown {
        table.row(kind, numbers, "");
    }
    if !rest.is_empty() {
        let sum = std::array::from_fn::<u64, 4, _>(|column| {
            rest.iter().map(|(_, numbers)| numbers[column]).sum()
        });
        table.row(&format!("{} other kinds", rest.len()), &sum, "");
    }
    for (kind, numbers) in special {
        table.row(kind, &numbers, treatment(kind));
    }
    table
}

fn treatment(kind: &str) -> &'static str {
    match kind {
        UNWANTED => "not wanted by the filter",
        REFUSED => "refused for good by the handler",
        PANICKING => "the handler panics",
        _ => "",
    }
}

fn dead(account: &Account, cut_intact: u64) -> Table {
    let mut table = Table::headed("dead letters by reason", &[""]);
    for (reason, name) in Reason::ALL {
        let count = account.messages.iter().filter(|line| line.dead == Some(reason)).count();
        let words = match reason {
            Reason::Undecodable => format!("{} of them byte for byte as sent", grouped(cut_intact)),
            _ => String::new(),
        };
        if count > 0 {
            table.row(name, &[count as u64], &words);
        }
    }
    table
}

fn summary(tally: &Tally, verdict: &Verdict) -> String {
    let Verdict { done, dead, lost, doubled, .. } = verdict;
    let (sent, duplicates, retried) = (tally.sent.get(), tally.duplicates(), tally.retried.get());
    format!(
        "sent={sent} done={done} duplicates={duplicates} retried={retried} dead={dead} \
         lost={lost} doubled={doubled}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{manifest::Manifest, plan::Fate};

    #[test]
    fn the_last_line_has_its_names_in_their_order() {
        let tally = Tally::default();
        (0..3).for_each(|_| tally.sent.up());
        tally.duplicates_of_dead.up();
        tally.duplicates_of_done.up();
        let verdict = Verdict { done: 1, lost: 4, doubled: 5, ..Verdict::default() };
        let line = "sent=3 done=1 duplicates=2 retried=0 dead=0 lost=4 doubled=5";
        assert_eq!(summary(&tally, &verdict), line);
    }

    #[test]
    fn rare_kinds_are_summed_up_and_special_ones_come_last() {
        let manifest = Manifest::default();
        for n in 0..=SHOWN_KINDS {
            manifest.publishing(UNWANTED, Fate::Ignored, None);
            manifest.publishing("push", Fate::Done, None);
            manifest.publishing(&format!("kind_{n:02}"), Fate::Done, None);
        }
        manifest.ignored(0);
        let account = manifest.account();
        let mut counts = vec![0; account.messages.len()];
        counts[1] = 1;
        let shown = kinds(&account, &counts).to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "webhooks by event  all  done  dead  ignored");
        assert_eq!(lines[1], "  push              13     1     0        0");
        assert_eq!(lines[13], "  2 other kinds      2     0     0        0");
        assert_eq!(
            lines[14],
            "  ping              13     0     0        1  not wanted by the filter"
        );
        assert_eq!(lines.len(), 15);
    }
}

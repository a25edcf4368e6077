//! A line a second on standard error: in place on a terminal, one below the other elsewhere.

use std::{
    env,
    io::{IsTerminal as _, Write as _, stderr},
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

use crate::{table::grouped, tally::Tally, watch::Watch};

/// Shows the progress until it is dropped.
pub(crate) struct Progress {
    task: JoinHandle<()>,
    in_place: bool,
}

impl Progress {
    /// Starts to show. `total` is the number of copies that will be published, if it is known.
    pub(crate) fn show(watch: Watch, total: Option<u64>) -> Self {
        let in_place = stderr().is_terminal() && env::var_os("TERM").is_none_or(|it| it != "dumb");
        let started = Instant::now();
        let task = tokio::spawn(async move {
            let mut second = tokio::time::interval(Duration::from_secs(1));
            second.tick().await;
            loop {
                second.tick().await;
                let line = line(&watch.tally, &watch.down(), total, started.elapsed());
                // Nobody may be listening any more, which does not concern the job.
                let _ = if in_place {
                    // Without wrapping, so that a narrow terminal shows one line all the same.
                    write!(stderr(), "\r\x1b[2K\x1b[?7l{line}\x1b[?7h")
                } else {
                    writeln!(stderr(), "{line}")
                };
            }
        });
        Self { task, in_place }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.task.abort();
        if self.in_place {
            let _ = write!(stderr(), "\r\x1b[2K");
        }
    }
}

fn line(tally: &Tally, down: &[String], total: Option<u64>, elapsed: Duration) -> String {
    let sent = grouped(tally.sent.get());
    let total = total.map(|total| format!("/{}", grouped(total))).unwrap_or_default();
    let rate = per_second(tally.deliveries(), elapsed);
    let down = if down.is_empty() { String::new() } else { format!("; down: {}", down.join(", ")) };
    format!(
        "{} s: {sent}{total} sent, {} done, {} duplicates, {} dead, {}/s{down}",
        elapsed.as_secs(),
        grouped(tally.done.get()),
        grouped(tally.duplicates()),
        grouped(tally.dead.get()),
        grouped(rate),
    )
}

/// A rate, rounded down.
pub(crate) fn per_second(count: u64, elapsed: Duration) -> u64 {
    let rate = u128::from(count) * 1000 / elapsed.as_millis().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_how_far_it_is() {
        let tally = Tally::default();
        (0..1500).for_each(|_| tally.sent.up());
        tally.done.up();
        let shown = line(&tally, &[], Some(3000), Duration::from_secs(2));
        assert_eq!(shown, "2 s: 1,500/3,000 sent, 1 done, 0 duplicates, 0 dead, 0/s");
        let shown = line(&tally, &["store".to_owned()], None, Duration::ZERO);
        assert!(shown.starts_with("0 s: 1,500 sent, ") && shown.ends_with("/s; down: store"));
    }
}

//! What this process has used, as Linux tells it (proc(5)).

use std::fs;

use anyhow::{Context as _, Result};

/// Forgets what [`peak`] was until now.
pub(crate) fn forget_peak() -> Result<()> {
    fs::write("/proc/self/clear_refs", "5").context("cannot reset the peak of memory")
}

/// The most memory that it has held since then, in MiB.
pub(crate) fn peak() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).context("no VmHWM")?;
    Ok(kib.parse::<f64>()? / 1024.0)
}

/// Seconds of processor time that its threads have used, to a hundredth.
pub(crate) fn processor() -> Result<f64> {
    const TICK: f64 = 0.01;
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name of the program, in brackets, may hold anything; 11 words after it the times begin.
    let (_, words) = stat.rsplit_once(')').context("no name")?;
    let mut times = words.split_whitespace().skip(11).map(str::parse::<f64>);
    let mut time = || times.next().context("no times");
    let (user, system) = (time()??, time()??);
    Ok((user + system) * TICK)
}

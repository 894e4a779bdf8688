//! One run of an emulator, and the statistics of many.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use wait4::Wait4;

use super::work::MARK;

/// What one run took.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Sample {
    /// From the start of the process to its end, in seconds.
    pub(crate) wall: f64,
    /// CPU time in user and kernel mode, in seconds.
    pub(crate) cpu: f64,
    /// The largest resident set, in MiB.
    pub(crate) rss: f64,
}

/// A line of a run's output, and when it came.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) text: String,
    /// Since the start of the process, in seconds.
    pub(crate) at: f64,
    /// CPU time that the process had taken, in seconds; only of lines that begin as `work::MARK`.
    pub(crate) cpu: f64,
}

/// The middle one, and the extremes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of at least one value.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_by(f64::total_cmp);
        let (n, half) = (sorted.len(), sorted.len() / 2);
        let median = if n.is_multiple_of(2) { (sorted[half - 1] + sorted[half]) / 2.0 } else { sorted[half] };
        Self { median, min: sorted[0], max: sorted[n - 1] }
    }
}

/// What one run took and gave.
pub(crate) struct Run {
    pub(crate) sample: Sample,
    /// On standard output.
    pub(crate) said: Vec<Said>,
    pub(crate) stderr: String,
}

/// Runs `command` to its end. It has to succeed within `limit`, and its output has to contain `proof`, which the
/// guest says when it has done what is measured.
pub(crate) fn measure(command: &mut Command, proof: &str, limit: Duration) -> Result<Run> {
    let start = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let stdout = listen(child.stdout.take().context("no standard output")?, child.id(), start);
    let stderr = collect(child.stderr.take().context("no standard error")?);
    let pid = child.id().to_string();
    // `wait4` blocks, so that somebody else has to end a run that hangs.
    let (done, watch) = std::sync::mpsc::channel::<()>();
    let watchdog = std::thread::spawn(move || {
        let late = watch.recv_timeout(limit).is_err_and(|e| e == std::sync::mpsc::RecvTimeoutError::Timeout);
        late && Command::new("kill").args(["-KILL", &pid]).status().is_ok()
    });
    let end = child.wait4();
    let wall = start.elapsed().as_secs_f64();
    drop(done);
    let late = watchdog.join().unwrap_or(false);
    let end = end?;
    let mut said = stdout.join().unwrap_or_default();
    let output: String = said.iter().map(|s| format!("{}\n", s.text)).collect();
    let stderr = stderr.join().unwrap_or_default();
    let output = output + &stderr;
    let tail = || output.lines().rev().take(15).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
    if late {
        bail!("killed after {} s; its last words:\n{}", limit.as_secs(), tail());
    }
    if !end.status.success() {
        bail!("{}; its last words:\n{}", end.status, tail());
    }
    if !output.contains(proof) {
        bail!("the guest did not say {proof:?}; its last words:\n{}", tail());
    }
    let cpu = (end.rusage.utime + end.rusage.stime).as_secs_f64();
    // Of a process that had gone when its last words were heard.
    said.iter_mut().filter(|s| s.text.contains(MARK) && s.cpu == 0.0).for_each(|s| s.cpu = cpu);
    Ok(Run { sample: Sample { wall, cpu, rss: end.rusage.maxrss as f64 / (1 << 20) as f64 }, said, stderr })
}

/// The lines that process `pid` says, until it closes its end.
fn listen(from: impl Read + Send + 'static, pid: u32, start: Instant) -> std::thread::JoinHandle<Vec<Said>> {
    std::thread::spawn(move || {
        let (mut from, mut said, mut line) = (BufReader::new(from), Vec::new(), Vec::new());
        while from.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let at = start.elapsed().as_secs_f64();
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            let cpu = if text.contains(MARK) { cpu_time(pid, "") } else { 0.0 };
            said.push(Said { text, at, cpu });
            line.clear();
        }
        said
    })
}

/// What the threads of process `pid` whose names begin with `name` have run, in seconds (Linux
/// `Documentation/scheduler/sched-stats.rst`).
pub(crate) fn cpu_time(pid: u32, name: &str) -> f64 {
    let read = |thread: &std::fs::DirEntry, file| std::fs::read_to_string(thread.path().join(file)).ok();
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let named = threads.filter(|t| name.is_empty() || read(t, "comm").is_some_and(|comm| comm.starts_with(name)));
    let nanoseconds = named.filter_map(|t| read(&t, "schedstat")?.split_whitespace().next()?.parse::<u64>().ok());
    nanoseconds.sum::<u64>() as f64 / 1e9
}

fn collect(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        // What came before an error is worth showing, too.
        let _ = from.read_to_end(&mut all);
        String::from_utf8_lossy(&all).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: u64) -> Result<Sample> {
        Ok(measure(Command::new("sh").args(["-c", script]), "here", Duration::from_millis(limit))?.sample)
    }

    #[test]
    fn a_run_is_measured_only_when_it_did_its_work() {
        let sample = shell("sleep 0.2; echo here", 20_000).unwrap();
        assert!(sample.wall >= 0.2 && sample.cpu < 0.2 && sample.rss > 0.1, "{sample:?}");
        assert!(shell("echo here; exit 3", 20_000).unwrap_err().to_string().contains("3"));
        assert!(shell("echo nothing", 20_000).unwrap_err().to_string().contains("did not say"));
        assert!(shell("echo here; exec sleep 30", 200).unwrap_err().to_string().contains("killed"));
    }

    #[test]
    fn a_spread_is_median_and_extremes() {
        let of = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(of(&[3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(of(&[4.0, 1.0]), Spread { median: 2.5, min: 1.0, max: 4.0 });
    }
}

//! fio in a Debian guest on its virtio disk: our machine on the engine `soft`, and QEMU's on TCG, on raw files of one kind.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::super::emulator::{Board, Emulator, Emulators};
use super::super::run::{Run, Said, measure};
use super::super::userland;
use super::super::work::{END, MARK};
use super::pattern::{Pattern, Way, make_disk};
use super::report::{Group, Line, Sample};
use super::{MIB, Place, Setting};
use crate::guest;
use crate::shell;

const PATTERNS: [Pattern; 4] = [
    Pattern::new(Way::RandRead, 4096, 32),
    Pattern::new(Way::RandWrite, 4096, 32),
    Pattern::new(Way::Read, MIB, 8),
    Pattern::new(Way::Write, MIB, 8),
];
/// The least ratio that we want.
const TARGET: f64 = 1.3;

const COMMAND_LINE: &str = "console=ttyAMA0 panic=-1 quiet nokaslr cryptomgr.notests";
/// Longer than a guest takes that does not hang.
const LIMIT: Duration = Duration::from_secs(300);

/// Boots the guest on both in turn, each time for all patterns, with the disk in `place`.
pub(super) fn group(setting: &Setting, place: &Place) -> Result<Group> {
    let debian = guest::debian(None, false)?;
    let root = guest::root("bookworm", false)?;
    let (folder, scratch) = (tempfile::tempdir()?, place.folder.path().join("guest.raw"));
    make_disk(&scratch, setting.size)?;
    let works = PATTERNS.map(|pattern| work(pattern, setting.seconds));
    let initrd = userland::initrd(folder.path(), &debian.initrd, "disk", &works.each_ref().map(String::as_str))?;
    let board =
        Board { disk: Some(&root), scratch: Some(&scratch), ..Board::new(&debian.kernel, &initrd, COMMAND_LINE) };
    let emulators = Emulators::of(setting.russet.clone());
    let mut samples = PATTERNS.map(|_| (Vec::new(), Vec::new()));
    for run in 1..=setting.runs {
        shell::say(&format!("fio in a guest: run {run} of {}", setting.runs));
        for emulator in emulators.order(run) {
            let Run { said, .. } = measure(&mut emulators.command(emulator, &board), END, LIMIT)?;
            for (work, (ours, theirs)) in works.iter().zip(&mut samples) {
                let side = if emulator == Emulator::Russet { ours } else { theirs };
                side.push(sample(&said, work).with_context(|| format!("{work} on {}", emulator.name()))?);
            }
        }
    }
    fs::remove_file(scratch)?;
    let lines = PATTERNS.iter().zip(&samples);
    let lines = lines.map(|(pattern, (ours, theirs))| Line::of(&pattern.name(), TARGET, ours, theirs)).collect();
    Ok(Group { name: format!("fio in a guest, raw, {}", place.name), peer: "QEMU TCG".to_owned(), lines })
}

/// What the guest's script takes for a pattern.
fn work(Pattern { way, block, depth }: Pattern, seconds: u32) -> String {
    format!("{}:{block}:{depth}:{seconds}", way.name())
}

/// What fio says by the guest's clock, which is real time on both.
fn sample(said: &[Said], work: &str) -> Result<Sample> {
    let find = |what: &str| {
        let begin = format!("{MARK}{what} {work}");
        said.iter().find_map(|line| Some((line.at, line.text.split_once(&begin)?.1)))
    };
    let (start, _) = find("start").context("the guest did not begin")?;
    let (end, fields) = find("done").context("the guest did not end")?;
    let field = |name: &str| -> Result<f64> {
        let value = fields.split_whitespace().find_map(|f| f.strip_prefix(name)?.strip_prefix('='));
        Ok(value.with_context(|| format!("fio's {name} is missing"))?.parse()?)
    };
    let (kib, seconds) = (field("kib")?, field("ms")? / 1e3);
    ensure!(kib > 0.0 && seconds > 0.0, "fio moved nothing");
    // The start of fio itself is not in its own account.
    if end - start < seconds * 0.95 {
        bail!("fio took {seconds:.3} s by the guest's clock and {:.3} s by the host's", end - start);
    }
    Ok(Sample::of(kib * 1024.0, seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(done: &str, end: f64) -> Vec<Said> {
        let line = |text: &str, at| Said { text: text.to_owned(), at, cpu: 0.0 };
        vec![line("bench: start read:4096:1:2", 1.0), line(done, end)]
    }

    #[test]
    fn a_speed_is_what_fio_says() {
        let sample = |done: &str, end| sample(&said(done, end), "read:4096:1:2");
        assert_eq!(sample("bench: done read:4096:1:2 kib=4096 ms=2000", 4.0).unwrap().mib_per_s, 2.0);
        for (done, end, why) in [
            ("bench: done read:4096:1:2 kib=0 ms=2000", 4.0, "moved nothing"),
            ("bench: done read:4096:1:2 kib=4096", 4.0, "ms is missing"),
            ("bench: done read:4096:1:2 kib=4096 ms=2000", 2.0, "the host's"),
            ("bench: failed", 4.0, "did not end"),
        ] {
            let error = sample(done, end).err().unwrap();
            assert!(error.to_string().contains(why), "{done}: {error}");
        }
    }
}

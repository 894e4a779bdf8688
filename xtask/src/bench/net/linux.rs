//! A Linux guest that sends to the host and receives from it: in large blocks, as iperf3 does, and with busybox's `nc`.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result};

use super::peers::Peer;
use super::report::{Row, Taken};
use super::work::Figures;
use crate::bench::emulator::{Board, Emulator, Emulators};
use crate::bench::program;
use crate::bench::turns;
use crate::debian::cpio::Archive;
use crate::guest;

/// What goes in each direction, in MiB; the same for `nc`, which is slow.
const MEBIBYTES: u64 = 128;
const FEW: u64 = 8;
const COMMAND_LINE: &str = "console=ttyAMA0 panic=-1 quiet nokaslr cryptomgr.notests";
const NAMES: [&str; 4] = ["linux-up", "linux-down", "nc-up", "nc-down"];

/// Boots both emulators `runs` times.
pub(super) fn take(emulators: &Emulators, runs: u32) -> Result<Vec<Taken>> {
    let guest = guest::debian(None, false)?;
    let folder = tempfile::tempdir()?;
    let initrd = initrd(folder.path(), &guest.initrd, [sink()?, source(MEBIBYTES)?, source(FEW)?])?;
    let board = Board { network: true, ..Board::new(&guest.kernel, &initrd, COMMAND_LINE) };
    let turns = turns::take("linux", &NAMES, &board, emulators, runs)?;
    let figures = turns.iter().flat_map(|turn| {
        let peer = match turn.emulator {
            Emulator::Russet => Peer::Russet,
            Emulator::Qemu => Peer::Slirp,
        };
        turn.works.iter().zip(NAMES).map(move |(done, work)| {
            let kibibytes = (if work.starts_with("nc") { FEW } else { MEBIBYTES } << 10) as f64;
            let figures =
                Figures { rate: kibibytes * 8192.0 / 1e6 / done.guest_s, cpu_ns: done.cpu_s * 1e9 / kibibytes };
            Taken { work: Row { work, unit: "Mbit/s", share: "KiB" }, peer, figures }
        })
    });
    Ok(figures.collect())
}

/// A port of the host that takes all there is and then hangs up.
fn sink() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 20];
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
        }
    });
    Ok(port)
}

/// A port of the host that gives so many mebibytes and hangs up.
fn source(mebibytes: u64) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        let buffer = vec![0; 1 << 20];
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            // Who hangs up first has not received all, which the guest then says.
            let _ = (0..mebibytes).try_for_each(|_| stream.write_all(&buffer));
        }
    });
    Ok(port)
}

/// The initial RAM disk of `russet run debian` with another /init, in a second archive which goes over the first.
fn initrd(folder: &Path, debian: &Path, [up, down, few_down]: [u16; 3]) -> Result<PathBuf> {
    let mut archive = Archive::new();
    archive.folder("bench");
    archive.file("bench/timed", 0o755, &fs::read(program::compile("timed", folder)?)?);
    archive.file("bench/stream", 0o755, &fs::read(program::compile("stream", folder)?)?);
    let numbers = format!("up={up}\ndown={down}\nfew_down={few_down}\nmebibytes={MEBIBYTES}\nfew={FEW}\n");
    archive.file("bench/numbers", 0o644, numbers.as_bytes());
    let init = program::guest("network").join("init.sh");
    archive.file("init", 0o755, &fs::read(&init).with_context(|| init.display().to_string())?);
    let initrd = folder.join("initrd");
    fs::write(&initrd, [fs::read(debian)?, archive.finish()].concat())?;
    Ok(initrd)
}

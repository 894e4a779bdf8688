//! Debian's fio writes to each disk by four threads, each write durable when it completes (`O_DSYNC`: a flush behind it
//! on virtio, FUA on NVMe), and beside them another one, which flushes now and then. Its trigger, made for cutting the
//! power, has it save how many writes each thread issued and which was the last that completed, and prints that. Then
//! the process is killed, while the other one writes on. In the next run fio reads back and verifies every write that
//! had completed.
//!
//! A thread has one write under way. With more of them fio 3.33 cannot tell where to stop: when it verifies it looks at
//! what it has read back, not at what it has asked for, and so asks for up to twice the depth, also for what it had never
//! written (its issue 1950).

use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::{DISKS, check, kills, make};
use crate::machine::{Machine, debian};

/// Where the test finds the root file system that `cargo xtask kill-test` makes, with fio in it.
const ROOT: &str = "RUSSET_TEST_ROOT";

/// Bytes of a disk; each of the two has a half.
const SIZE: usize = 256 << 20;
/// Threads for a disk whose writes are verified, and all of them.
const THREADS: usize = 4;
const ALL: usize = DISKS.len() * THREADS;
/// Both have this in common. Every block is written once in a round, and not all of them in the time. With `randrepeat` fio
/// 3.33 goes to the same places in each round, whatever its seed is.
const FIO: &str =
    "fio --direct=1 --thread --rw=randwrite --randrepeat=0 --bsrange=4k-16k --verify=crc32c --rate_iops=1000";

/// What fio knew of its writes when it was triggered.
struct State {
    /// The seed from which its writes follow.
    round: u64,
    /// Of each thread: the writes that it had issued, and its own form of its state, in base 64.
    threads: Vec<(u64, String)>,
}

/// Where fio keeps the state of a thread.
fn file(thread: usize) -> String {
    format!("local-kept{}-{thread}-verify.state", thread / THREADS)
}

/// fio with the writes of `round` that it keeps account of in /tmp, with `options`.
fn kept(round: u64, options: &str) -> String {
    let job = |(n, (_, _, device)): (usize, &(_, _, &str))| format!(" --name=kept{n} --filename={device}{options}");
    let jobs: String = DISKS.iter().enumerate().map(job).collect();
    let general = "--ioengine=psync --numjobs=4 --size=32m --offset_increment=32m --sync=dsync --aux-path=/tmp";
    format!("{FIO} {general} --randseed={round}{jobs}")
}

/// Boots into Debian's shell.
fn start(folder: &Path, arguments: &[String]) -> Machine {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let mut machine = Machine::shell(&mut debian(folder, &[["-p", "2"].as_slice(), &arguments].concat()));
    machine.sh("mkdir -p /tmp/root && mount -t ext4 -o ro /dev/vdc /tmp/root && mount --bind /proc /tmp/root/proc && \
         mount --bind /sys /tmp/root/sys && mount --bind /dev /tmp/root/dev && mount -t tmpfs tmpfs /tmp/root/tmp");
    machine.type_in("exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C chroot /tmp/root /bin/sh\n");
    machine.type_in("cd /tmp; while read -r l; do eval \"$l\"; echo \"[exit\"\" $?]\"; done\n");
    machine
}

/// The shell's command that has fio write to the disks until its trigger prints its state, and a second one.
fn writers(round: u64) -> String {
    let seconds = 1 + round % 2;
    // In the state, 40 bytes are before the number of writes.
    let told = "for f in $(ls -v local-kept*); do echo [state $(od -A n -t u8 -j 40 -N 8 $f) $(base64 -w 0 $f)]; done";
    let general = format!("--trigger-timeout={seconds} --trigger='cd /tmp; ({told}) >/dev/hvc0' --do_verify=0");
    let keep = kept(round, " --verify_state_save=1").replacen("fio", &format!("fio {general}"), 1);
    let device = |(n, (_, _, device)): (usize, &(_, _, &str))| format!(" --name=other{n} --filename={device}");
    let devices: String = DISKS.iter().enumerate().map(device).collect();
    let other = "--ioengine=libaio --iodepth=4 --size=128m --offset=128m --fdatasync=8 --time_based --runtime=600";
    format!("{keep} >/tmp/kept 2>&1 & {FIO} --do_verify=0 {other}{devices} >/tmp/other 2>&1 & ")
}

/// What is printed of the state.
fn state(machine: &mut Machine, round: u64) -> State {
    let thread = |_| {
        machine.expect("[state ");
        let told = machine.expect("]");
        let [issued, saved] = told.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{told}") };
        (issued.parse().unwrap(), saved.to_owned())
    };
    State { round, threads: (0..ALL).map(thread).collect() }
}

/// Has fio verify what it wrote in an earlier run. Gives its exit status, what it said, and how many writes of each
/// thread it read back.
fn verify(machine: &mut Machine, state: &State) -> (i32, String, Vec<u64>) {
    machine.sh("rm -f /tmp/local-*");
    for (n, (_, saved)) in state.threads.iter().enumerate() {
        machine.sh(&format!("echo {saved} | base64 -d >/tmp/{}", file(n)));
    }
    let command = kept(state.round, " --verify_only --verify_fatal=1 --verify_state_load=1");
    let (said, status) = machine.status_of(&format!("{command} 2>&1"));
    let counts = said.split("issued rwts: total=").skip(1);
    let read = counts.map(|counts| counts.split(',').next().unwrap_or_default().parse().unwrap()).collect();
    (status, said, read)
}

/// Verifies what has to be there, which is all that was issued but for what may have been under way.
fn verify_all(machine: &mut Machine, state: &State) -> Vec<u64> {
    let (status, said, read) = verify(machine, state);
    assert_eq!((status, read.len()), (0, ALL), "round {}:\n{said}", state.round);
    for (read, (issued, _)) in read.iter().zip(&state.threads) {
        // A thread that was slow to start has issued none.
        assert!((issued.saturating_sub(1)..=*issued).contains(read), "fio verified {read} of {issued} writes:\n{said}");
    }
    read.chunks(THREADS).map(|threads| threads.iter().sum()).collect()
}

#[test]
#[ignore = "wants a root file system with fio; `cargo xtask kill-test` makes one and runs it"]
fn fio_finds_what_it_had_written_when_the_process_was_killed() {
    let root = std::env::var(ROOT).expect("`cargo xtask kill-test` says where the root file system is");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut arguments = make(folder, SIZE, 0);
    arguments.extend(["-d".to_owned(), format!("{root},readonly")]);
    let mut last: Option<State> = None;
    let mut verified = [0; DISKS.len()];
    let mut add = |writes: Vec<u64>| verified.iter_mut().zip(writes).for_each(|(all, some)| *all += some);
    for round in 1..=kills() {
        let mut machine = start(folder, &arguments);
        if let Some(state) = &last {
            add(verify_all(&mut machine, state));
        }
        if round % 2 == 0 {
            // So that writes find clusters allocated, and not.
            DISKS.iter().for_each(|(_, _, device)| drop(machine.sh(&format!("blkdiscard {device}"))));
        }
        machine.sh(&writers(round));
        last = Some(state(&mut machine, round));
        thread::sleep(Duration::from_millis(round * 197 % 400));
        machine.child.kill().unwrap();
        assert_eq!(machine.end().code(), None);
        DISKS.iter().for_each(|(image, ..)| check(folder, image));
    }
    let mut machine = start(folder, &arguments);
    if let Some(state) = &last {
        add(verify_all(&mut machine, state));
        // And it would tell: most of what it wrote is gone.
        for (_, _, device) in DISKS {
            machine.sh(&format!("dd if=/dev/zero of={device} bs=1M count=100 conv=notrunc,fsync 2>/dev/null"));
        }
        let (status, said, _) = verify(&mut machine, state);
        assert!(status != 0 && said.contains("verify: bad"), "{said}");
    }
    machine.child.kill().unwrap();
    machine.end();
    let images = DISKS.map(|(image, ..)| image);
    writeln!(io::stderr(), "{} kills; durable writes that fio verified: {verified:?} on {images:?}", kills()).unwrap();
    assert!(verified.iter().all(|writes| *writes > 20 * kills()), "too few writes to prove anything: {verified:?}");
}

//! Debian's kernels come up to a shell, with all their CPUs, and find nothing to complain about.

use std::process::Command;

use crate::debian::Guest;
use crate::machine::{CMDLINE, Machine, debian_with, guest, russet};

/// What a kernel prints about itself when something is very wrong.
const WRONG: [&str; 8] =
    ["BUG", "WARNING", "Oops", "rcu_sched", "rcu_preempt: INFO", "soft lockup", "Call trace", "blocked for more than"];

/// The row of `/proc/interrupts` with this text: what each CPU counted.
fn counts(interrupts: &str, text: &str, cpus: usize) -> Vec<u64> {
    let row = interrupts.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}: {interrupts}"));
    row.split_whitespace().skip(1).take(cpus).map(|count| count.parse().unwrap()).collect()
}

/// Looks at a guest that has come up with so many CPUs.
fn examine(machine: &mut Machine, cpus: usize, release: &str) {
    assert_eq!(machine.sh("nproc"), format!("{cpus}\n"));
    assert_eq!(machine.sh("uname -rm"), format!("{release} aarch64\n"));
    // Work for every CPU, which goes from one to the next: timers, and interrupts between CPUs.
    for cpu in 0..cpus {
        assert_eq!(machine.sh(&format!("taskset -c {cpu} sh -c 'sleep 0.05; grep -c . /proc/self/stat'")), "1\n");
    }
    machine.sh("for i in 1 2 3 4; do (seq 1 2000 | sort -rn | md5sum) & done; wait");
    let interrupts = machine.sh("cat /proc/interrupts");
    let timers = counts(&interrupts, "arch_timer", cpus);
    assert!(timers.len() == cpus && timers.iter().all(|count| *count > 0), "{interrupts}");
    if cpus > 1 {
        let rescheduled = counts(&interrupts, "Rescheduling", cpus);
        let called = counts(&interrupts, "Function call", cpus);
        assert!(rescheduled.len() == cpus, "{interrupts}");
        let every = rescheduled.iter().zip(&called).all(|(a, b)| a + b > 0);
        assert!(every, "{interrupts}");
    }
    let log = machine.sh("dmesg");
    assert!(log.contains("Linux version"), "{log}");
    let wrong: Vec<&str> = log.lines().filter(|line| WRONG.iter().any(|wrong| line.contains(wrong))).collect();
    assert!(wrong.is_empty(), "{}\n{log}", wrong.join("\n"));
    // The clock runs as the host's does.
    let seconds: f64 = machine.sh("date +%s").trim().parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((now - seconds).abs() < 30.0, "the guest's clock is at {seconds}, the host's at {now}");
}

fn boots(guest: &Guest, cpus: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = russet(folder.path(), &["-t", "0", "-a", CMDLINE, "-p", cpus]);
    let mut machine = Machine::shell(command.arg("-k").arg(&guest.kernel).arg("-i").arg(&guest.initrd));
    examine(&mut machine, cpus.parse().unwrap(), &guest.release);
    machine.power_off();
}

#[test]
fn debian_comes_up_on_one_cpu() {
    boots(&guest(None), "1");
}

#[test]
fn debian_comes_up_on_four_cpus() {
    boots(&guest(None), "4");
}

#[test]
fn the_kernel_of_debian_13_comes_up_on_two_cpus() {
    let guest = guest(Some("trixie"));
    assert!(guest.release.starts_with("6.12."), "{}", guest.release);
    boots(&guest, "2");
}

/// Without our shortcuts on the command line: the kernel's own tests of its ciphers pass, and it moves itself in memory.
#[test]
fn the_kernels_self_tests_pass() {
    let folder = tempfile::tempdir().unwrap();
    let mut machine = Machine::shell(&mut debian_with(folder.path(), "console=hvc0", &["-t", "0"]));
    let log = machine.sh("dmesg");
    assert!(log.contains("KASLR enabled"), "{log}");
    assert!(!log.contains("alg: ") || !log.contains("failed"), "{log}");
    machine.power_off();
}

#[test]
fn a_compressed_kernel_and_initial_ram_disk_boot_as_plain_ones_do() {
    let guest = guest(None);
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in [(&guest.kernel, "Image.gz"), (&guest.initrd, "initrd.gz")] {
        let file = std::fs::File::create(folder.path().join(to)).unwrap();
        assert!(Command::new("gzip").arg("-1c").arg(from).stdout(file).status().unwrap().success());
    }
    let arguments = ["-k", "Image.gz", "-i", "initrd.gz", "-t", "0", "-a", CMDLINE];
    let mut machine = Machine::shell(&mut russet(folder.path(), &arguments));
    assert_eq!(machine.sh("uname -r"), format!("{}\n", guest.release));
    machine.power_off();
}

#[test]
fn the_first_command_of_the_readme_gives_a_root_prompt() {
    let folder = tempfile::tempdir().unwrap();
    guest(None);
    let mut machine = Machine::shell(&mut russet(folder.path(), &["debian"]));
    assert_eq!(machine.sh("id -u; cat /proc/1/comm; hostname"), "0\ninit\ndebian\n");
    machine.power_off();
}

#[test]
fn every_machine_has_entropy_a_balloon_a_console_and_a_network() {
    let folder = tempfile::tempdir().unwrap();
    let mut machine = Machine::shell(&mut debian_with(folder.path(), CMDLINE, &["-t", "0"]));
    let drivers = machine.sh("for d in /sys/bus/virtio/devices/*; do basename $(readlink $d/driver); done | sort");
    assert_eq!(drivers, "virtio_balloon\nvirtio_console\nvirtio_net\nvirtio_rng\n");
    assert!(machine.sh("cat /sys/class/misc/hw_random/rng_current").starts_with("virtio_rng"));
    let random = |machine: &mut Machine| machine.sh("head -c 32 /dev/hwrng | hexdump -ve '/1 \"%02x\"'");
    let (first, second) = (random(&mut machine), random(&mut machine));
    assert!(first.len() == 64 && second.len() == 64 && first != second, "{first} {second}");
    machine.power_off();
}

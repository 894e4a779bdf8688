//! How machines end, and what the command's exit status says of it.

use crate::machine::{CMDLINE, Machine, debian, debian_with, guest, russet};

#[test]
fn a_reboot_starts_the_same_machine_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut machine = Machine::shell(&mut debian(folder.path(), &["-p", "2"]));
    machine.sh("touch /tmp/before");
    machine.type_in("reboot -f\n");
    machine.quiet_shell();
    assert_eq!(machine.status_of("test -e /tmp/before").1, 1);
    assert_eq!(machine.sh("nproc"), "2\n");
    machine.power_off();
}

/// A panic with `panic=-1` resets at once; the machine then starts again, as a real one does.
#[test]
fn a_kernel_that_panics_resets_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let cmdline = format!("{CMDLINE} panic=-1");
    let mut machine = Machine::shell(&mut debian_with(folder.path(), &cmdline, &["-t", "0"]));
    machine.type_in("echo c >/proc/sysrq-trigger\n");
    machine.quiet_shell();
    machine.power_off();
}

#[test]
fn a_kernel_without_a_root_waits_until_it_is_stopped_by_force() {
    let folder = tempfile::tempdir().unwrap();
    let guest = guest(None);
    let mut command = russet(folder.path(), &["-a", "console=ttyAMA0", "--device", "pl011,stdio"]);
    let mut machine = Machine::start(command.arg("-k").arg(guest.kernel));
    machine.expect("end Kernel panic");
    machine.signal("TERM");
    std::thread::sleep(std::time::Duration::from_millis(500));
    machine.signal("TERM");
    assert_eq!(machine.end().code(), Some(143));
}

/// The first signal asks, and a guest that listens powers off by itself.
#[test]
fn a_signal_asks_the_guest_to_power_off() {
    let folder = tempfile::tempdir().unwrap();
    let mut machine = Machine::shell(&mut debian(folder.path(), &[]));
    machine.signal("TERM");
    assert_eq!(machine.end().code(), Some(0));
}

#[test]
fn the_end_of_the_input_is_not_the_end_of_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let mut machine = Machine::shell(&mut debian(folder.path(), &[]));
    machine.type_in("sleep 1; echo still here; poweroff -f\n");
    machine.hang_up();
    assert_eq!(machine.end().code(), Some(0));
    assert!(machine.printed().contains("still here"));
}

//! A real GDB on a program without an operating system.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::{guest, russet, text};

/// From 0x40000040 on: counts in W2 and V0, stores it at 0x40100000 and loads what is behind it.
const COUNT: &[u32] = &[
    0xd2a0_0600, // mov x0, #(3 << 20)
    0xd518_1040, // msr cpacr_el1, x0
    0xd503_3fdf, // isb
    0xd2a8_0201, // mov x1, #0x40100000
    0x5280_0002, // mov w2, #0
    0x1100_0442, // 0x40000054 loop: add w2, w2, #1
    0x9400_0004, // bl fn
    0xb900_0022, // 0x4000005c str w2, [x1]
    0xb940_0823, // ldr w3, [x1, #8]
    0x17ff_fffc, // 0x40000064 b loop
    0x9e67_0040, // 0x40000068 fn: fmov d0, x2
    0xd65f_03c0, // ret
];

/// Starts a machine with `code` that waits for GDB at `at`, and waits until it listens.
fn start(folder: &Path, code: &[u32], at: &str, args: &[&str]) -> (Child, String) {
    guest::kernel(folder, code);
    let mut command = russet(folder, &["--json", "run", "-k", "Image", "--gdb", at, "--gdb-wait"]);
    let mut child = command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"gdb\"") {
        line.clear();
        assert_ne!(told.read_line(&mut line).unwrap(), 0, "it ended before it listened");
    }
    child.stderr = Some(told.into_inner());
    let event: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["waiting"], true);
    (child, event["remote"].as_str().unwrap().to_owned())
}

/// GDB with these commands after it is connected.
fn gdb(folder: &Path, remote: &str, commands: &str) -> Command {
    let mut command = Command::new("gdb-multiarch");
    command.current_dir(folder).args(["-q", "-nx", "-batch"]).stdin(Stdio::null());
    let connect = format!("target remote {remote}");
    let head = ["set pagination off", "set confirm off", "set architecture aarch64", &connect];
    // Not as a script, which would end at the first error.
    command.args(head.into_iter().chain(commands.lines()).flat_map(|line| ["-ex", line]));
    command
}

/// What has to be in what GDB says, in this order.
fn expect(said: &str, wanted: &[&str]) {
    let mut rest = said;
    for want in wanted {
        let at = rest.find(want).unwrap_or_else(|| panic!("{want:?} is missing in\n{said}"));
        rest = &rest[at + want.len()..];
    }
}

#[test]
fn gdb_breaks_steps_watches_and_changes() {
    const COMMANDS: &str = "info threads
p/x $pc
break *0x40000068
continue
p $x2
p/x $lr
set $x2 = 41
stepi
p $v0.d_u[0]
p/x $pc
stepi
p/x $pc
continue
p $x2
p *(int *)0x40100000
delete
watch *(int *)0x40100000
continue
p/x $pc
delete
set *(int *)0x40100008 = 7
rwatch *(int *)0x40100008
continue
p $w3
delete
set $w3 = 0
tbreak *0x40000064
continue
p $w3
monitor translate 0x40100000
monitor physical 0x40100008 4
monitor physical 0 4
monitor registers
p *(int *)0
set *(int *)0x40000064 = 0xd4000002
set $x0 = 0x84000008
continue";
    for (jit, at) in [("on", "0"), ("stress", "unix:gdb.sock")] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let (mut child, remote) = start(folder, COUNT, at, &["-t", "0", "-p", "2", "--jit", jit]);
        let output = gdb(folder, &remote, COMMANDS).output().unwrap();
        // What `monitor` answers goes there.
        let errors = text(&output.stderr);
        let said = [
            "(CPU 0, on)",
            "(CPU 1, off)",
            "$1 = 0x40000000",
            "hit Breakpoint 1, 0x0000000040000068",
            "$2 = 1",
            "$3 = 0x4000005c",
            "$4 = 41",
            "$5 = 0x4000006c",
            "$6 = 0x4000005c",
            "hit Breakpoint 1, 0x0000000040000068",
            "$7 = 42",
            "$8 = 41",
            "Hardware watchpoint 2",
            "Old value = 41",
            "New value = 42",
            // GDB stops behind the store.
            "$9 = 0x40000060",
            "Hardware read watchpoint 3",
            "Value = 7",
            "$10 = 7",
            "Temporary breakpoint 4, 0x0000000040000064",
            "$11 = 7",
            "exited normally",
        ];
        expect(&text(&output.stdout), &said);
        let answers = [
            "0x40100000",
            "0x40100008: 07 00 00 00",
            "there is no RAM at 0x0",
            "SCTLR_EL1",
            "Cannot access memory at address 0x0",
        ];
        expect(&errors, &answers);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{errors}");
    }
}

#[test]
fn gdb_interrupts_leaves_comes_back_and_kills() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let code = [guest::print("up"), guest::LOOP.to_vec()].concat();
    let (mut child, remote) = start(folder, &code, "unix:gdb.sock", &["--device", "pl011,stdio"]);
    let mut first = gdb(folder, &remote, "continue\np/x $pc\ndetach");
    let mut first = first.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut said = first.stdout.take().unwrap();
    // A signal before GDB has let the machine go would be one to GDB alone.
    child.stdout.take().unwrap().read_exact(&mut [0; 2]).unwrap();
    assert!(Command::new("kill").args(["-INT", &first.id().to_string()]).status().unwrap().success());
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    first.wait().unwrap();
    let at = format!("$1 = {:#x}", 0x4000_0040 + 4 * (code.len() - 1));
    expect(&rest, &["received signal SIGINT", &at]);
    assert_eq!(child.try_wait().unwrap(), None);
    // Who connects finds it halted at the same place, and ends it.
    let second = gdb(folder, &remote, "p/x $pc\nkill").output().unwrap();
    expect(&text(&second.stdout), &[&at]);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!folder.join("gdb.sock").exists());
}

#[test]
fn an_address_that_is_taken_is_told() {
    let folder = tempfile::tempdir().unwrap();
    guest::kernel(folder.path(), guest::POWER_OFF);
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = crate::run(folder.path(), &["run", "-k", "Image", "-t", "0", "--gdb", &port], 3);
    assert!(text(&output.stderr).contains("choose another"), "{}", text(&output.stderr));
}

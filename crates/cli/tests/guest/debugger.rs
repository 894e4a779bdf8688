//! GDB on a Linux guest that runs: code of the kernel, data of a program.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::machine::{Machine, debian};

#[test]
fn gdb_follows_a_system_call_and_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let mut machine = Machine::shell(&mut debian(folder.path(), &["-p", "2", "--gdb", "unix:gdb.sock"]));
    let symbol = machine.sh("grep ' __arm64_sys_newuname$' /proc/kallsyms");
    let address = symbol.split(' ').next().unwrap().trim_start_matches('0');

    let mut gdb = Command::new("gdb-multiarch");
    gdb.current_dir(folder.path()).args(["-q", "-nx", "-batch"]);
    let commands = [
        "set pagination off",
        "set architecture aarch64",
        "target remote gdb.sock",
        "info threads",
        &format!("break *0x{address}"),
        r"echo armed\n",
        "continue",
        // X0 points at the caller's registers, whose first is where uname() puts its answer.
        "watch -l *(char *)(*(unsigned long *)$x0)",
        "stepi",
        "p/x $pc",
        "continue",
        "delete",
        "detach",
    ];
    gdb.args(commands.iter().flat_map(|command| ["-ex", *command]));
    let mut gdb = gdb.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut output = BufReader::new(gdb.stdout.take().unwrap());
    let mut said = String::new();
    while !said.contains("armed\n") {
        assert_ne!(output.read_line(&mut said).unwrap(), 0, "{said}");
    }
    // It comes to its end only if GDB lets it go on from every stop.
    assert_eq!(machine.sh("uname -s"), "Linux\n");
    output.read_to_string(&mut said).unwrap();
    assert!(gdb.wait().unwrap().success(), "{said}");

    let second = u64::from_str_radix(address, 16).unwrap() + 4;
    let wanted = [
        "(CPU 0, on)",
        "(CPU 1, on)",
        &format!("hit Breakpoint 1, 0x{address}"),
        &format!("= {second:#x}"),
        "hit Hardware watchpoint 2",
        "New value = 76 'L'",
        "detached",
    ];
    let mut rest = said.as_str();
    for want in wanted {
        let at = rest.find(want).unwrap_or_else(|| panic!("{want:?} is missing in\n{said}"));
        rest = &rest[at + want.len()..];
    }
    machine.power_off();
}

//! The command as scripts and people see it: output, errors and exit statuses.

#[cfg(target_os = "linux")]
mod clones;
mod gdb;
mod guest;
mod machines;
mod rest;
mod serve;
mod terminal;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

fn russet(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_russet"));
    command.current_dir(folder).args(args).stdin(Stdio::null()).env_remove("RUSSET_LOG");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs to the end and checks the status.
fn run(folder: &Path, args: &[&str], status: i32) -> Output {
    let output = russet(folder, args).output().unwrap();
    assert_eq!(output.status.code(), Some(status), "{args:?}\n{}\n{}", text(&output.stdout), text(&output.stderr));
    output
}

#[test]
fn three_spellings_are_one_machine() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let vftool = [
        "config",
        "show",
        "-k",
        "Image",
        "-i",
        "initrd",
        "-d",
        "a.img",
        "-c",
        "b.iso",
        "-p",
        "2",
        "-m",
        "1024",
        "-t",
        "0",
        "-a",
        "console=hvc0 root=/dev/vda1",
    ];
    let vfkit = [
        "config",
        "show",
        "--bootloader",
        "linux,kernel=Image,initrd=initrd,cmdline=\"console=hvc0 root=/dev/vda1\"",
        "--cpus",
        "2",
        "--memory",
        "1024",
        "--device",
        "virtio-blk,path=a.img",
        "--device",
        "virtio-blk,path=b.iso,readonly",
        "--device",
        "virtio-net,nat",
        "--device",
        "virtio-rng",
        "--device",
        "virtio-balloon",
        "--device",
        "virtio-serial,stdio",
    ];
    let toml = text(&run(folder, &vftool, 0).stdout);
    assert!(toml.contains("path = \"a.img\""), "{toml}");
    assert_eq!(text(&run(folder, &vfkit, 0).stdout), toml);
    let units: Vec<&str> = vftool.iter().map(|word| if *word == "1024" { "1G" } else { word }).collect();
    assert_eq!(text(&run(folder, &units, 0).stdout), toml);
    fs::write(folder.join("machine.toml"), &toml).unwrap();
    assert_eq!(text(&run(folder, &["config", "show", "machine.toml"], 0).stdout), toml);
}

#[test]
fn a_choice_that_may_lose_data_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    guest::kernel(folder, guest::POWER_OFF);
    fs::write(folder.join("a.img"), [0; 4096]).unwrap();
    for (keys, warned) in [("sync=none", true), ("sync=full", false), ("sync=none,snapshot", false)] {
        let output = run(folder, &["run", "-k", "Image", "-d", &format!("a.img,{keys}"), "-t", "0"], 0);
        let told = text(&output.stderr);
        assert_eq!(told.contains("sync=none: what the guest flushes is lost"), warned, "{keys}: {told}");
    }
}

#[test]
fn check_tells_everything_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let wrong = "cpus = 0\n[bootloader]\nkind = \"linux\"\nkernel = \"none\"\n[[network]]\nnat = true\nmax = 1\n";
    fs::write(folder.join("machine.toml"), wrong).unwrap();
    let output = run(folder, &["config", "check", "machine.toml"], 2);
    assert_eq!(
        text(&output.stderr),
        "error: network[0].max (line 7): there is no key `max` here: did you mean `mac`?\n\
         error: cpus (line 1): a machine needs a CPU: give 1 or more\n\
         error: bootloader.kernel (line 4): `./none` does not exist: correct the path\n"
    );
    let output = run(folder, &["config", "check", "machine.toml", "--json"], 2);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["good"], false);
    assert_eq!(json["problems"].as_array().unwrap().len(), 3);
    assert_eq!(json["problems"][1]["path"], "cpus");

    guest::kernel(folder, guest::POWER_OFF);
    fs::write(folder.join("machine.toml"), "[bootloader]\nkind = \"linux\"\nkernel = \"Image\"\n").unwrap();
    let output = run(folder, &["config", "check", "machine.toml"], 0);
    assert_eq!(text(&output.stdout), "the machine can start\n");
}

#[test]
fn what_is_wrong_has_its_status() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("text"), "this is no kernel").unwrap();
    guest::kernel(folder, guest::POWER_OFF);
    for (args, status, wanted) in [
        (&["run"][..], 2, "give a kernel with -k"),
        (&["run", "debian", "-k", "text"], 2, "`debian` comes with its own kernel"),
        (&["run", "-k", "text", "--refresh"], 2, "are for `russet run debian`"),
        (&["run", "--bootloader", "linux,kernel=text", "-a", "x"], 2, "-a is the command line of the kernel"),
        (
            &["run", "none.toml"],
            2,
            "none.toml: No such file or directory (os error 2), and `russet list` has no such machine",
        ),
        (&["run", "Image"], 2, "Image: it is no configuration, which is text: give a kernel with -k, a disk with -d"),
        (&["run", "-k", "Image", "--cloud-init", "text"], 2, "text: cloud-init knows its files by their names"),
        (
            &["run", "-k", "Image", "--gui", "--engine", "soft"],
            2,
            "graphics[0] (--gui): the engine `soft` cannot do displays yet",
        ),
        (&["run", "-k", "Image", "-t", "0", "--pidfile", "none/pid"], 3, "--pidfile none/pid: No such file"),
        (&["pause", "none"], 2, "there is no machine and no control socket `none`"),
        (&["ip", "./none"], 3, "no machine has this control socket"),
        (&["run", "-k", "text", "-i", "none"], 2, "bootloader.initrd (-k text -i none): `none` does not exist"),
        (&["run", "-k", "Image", "-d", "text,format=qcow2"], 2, "text: it is to be qcow2 but has no qcow2 header"),
        (&["run", "-k", "none"], 2, "bootloader.kernel (-k none): `none` does not exist"),
        (&["run", "-k", "text", "-m", "2X"], 2, "memory (--memory 2X): `2X` is not a whole number"),
        (&["run", "-k", "text", "-m", "2000K"], 2, "memory (--memory 2000K): `2000K` is not a whole number"),
        (&["run", "-k", "text", "-t", "2"], 2, "2 is not in 0..=1"),
        (&["run", "-k", "text", "--device", "virtio-blk,pth=x"], 2, "did you mean `path`?"),
        (&["run", "-k", "text", "--engine", "kvm"], 2, "the engine `kvm` is not in this version"),
        (&["run", "-k", "text"], 2, "bootloader.kernel: the kernel is not in a format that is known"),
    ] {
        let output = run(folder, args, status);
        assert!(text(&output.stderr).contains(wanted), "{args:?}: {}", text(&output.stderr));
    }
    for args in [&["--json", "lst"][..], &["list", "--json", "--no"], &["create", "a b", "--json"]] {
        let json: serde_json::Value = serde_json::from_slice(&run(folder, args, 2).stderr).unwrap();
        assert_eq!((&json["error"]["status"], &json["error"]["kind"]), (&2.into(), &"bad-configuration".into()));
        let message = json["error"]["message"].as_str().unwrap();
        assert!(!message.starts_with("error") && !message.contains("Usage"), "{message}");
    }
    let output = run(folder, &["--json", "run", "-k", "none"], 2);
    let json: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((&json["error"]["status"], &json["error"]["kind"]), (&2.into(), &"bad-configuration".into()));
    assert_eq!(json["error"]["problems"][0]["path"], "bootloader.kernel");
}

/// A result that is not where it should be is not a success, but for who has read enough.
#[cfg(target_os = "linux")]
#[test]
fn a_full_output_is_an_error() {
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for args in [&["config", "example"][..], &["--help"], &["help", "run"], &["--version"]] {
        let output = russet(Path::new("/"), args).stdout(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(text(&output.stderr).contains("standard output: No space left"), "{}", text(&output.stderr));
        let mut child = russet(Path::new("/"), args).stdout(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{args:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    guest::kernel(folder, &[guest::print("lost"), guest::POWER_OFF.to_vec()].concat());
    let mut machine = russet(folder, &["run", "--bootloader", "linux,kernel=Image", "--device", "pl011,stdio"]);
    let output = machine.stdout(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "the guest powered off");
    assert!(text(&output.stderr).contains("what the guest prints is lost"), "{}", text(&output.stderr));
}

#[test]
fn doctor_knows_every_engine() {
    let output = run(Path::new("/"), &["doctor", "--json"], 0);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let engines: Vec<&str> =
        json["engines"].as_array().unwrap().iter().map(|engine| engine["engine"].as_str().unwrap()).collect();
    assert_eq!(engines, ["soft", "kvm", "vz"]);
    assert_eq!(json["engines"][0]["usable"], true);
    assert!(json["engines"].as_array().unwrap().iter().all(|engine| engine["reason"] != ""));
}

#[test]
fn a_guest_prints_and_powers_off() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let code = [guest::print("hello\r\n"), guest::POWER_OFF.to_vec()].concat();
    guest::kernel(folder, &code);
    let boot = "linux,kernel=Image";
    let output = run(folder, &["run", "--bootloader", boot, "--device", "pl011,stdio"], 0);
    assert_eq!(text(&output.stdout), "hello\r\n");
    assert_eq!(text(&output.stderr), "");
    run(folder, &["run", "--bootloader", boot, "--device", "pl011,logFilePath=log"], 0);
    assert_eq!(fs::read_to_string(folder.join("log")).unwrap(), "hello\r\n");
    // A reader that went away does not keep the guest from its end.
    let mut child = russet(folder, &["run", "--bootloader", boot, "--device", "pl011,stdio"]);
    let mut child = child.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_second_signal_stops_a_machine() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    guest::kernel(folder, &[guest::print("up"), guest::LOOP.to_vec()].concat());
    let mut child = russet(folder, &["run", "--bootloader", "linux,kernel=Image", "--device", "pl011,stdio"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::piped()).spawn().unwrap();
    let mut up = [0; 2];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut up).unwrap();
    // The end of the input is no end of the machine.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"input").unwrap();
    drop(stdin);
    send(&child, "-INT");
    std::thread::sleep(Duration::from_millis(300));
    send(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let told = text(&output.stderr);
    assert!(told.contains("once more to stop it at once"), "{told}");
    assert!(told.contains("the machine was stopped by force"), "{told}");
}

#[test]
fn one_sigterm_ends_a_guest_that_hears_of_none() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // One that does nothing, and one that restarts for ever.
    for end in [guest::LOOP, guest::RESET] {
        guest::kernel(folder, &[guest::print("up"), end.to_vec()].concat());
        let mut child = russet(folder, &["run", "--bootloader", "linux,kernel=Image", "--device", "pl011,stdio"]);
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut up = [0; 2];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut up).unwrap();
        send(&child, "-TERM");
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(143));
        let told = text(&output.stderr);
        assert!(told.contains("stopping the machine"), "{told}");
    }
}

#[test]
fn a_file_that_is_no_socket_is_not_replaced_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    guest::kernel(folder, guest::POWER_OFF);
    fs::write(folder.join("precious"), "data").unwrap();
    let rest = format!("unix://{}", folder.join("precious").display());
    for args in [["--control", "precious"], ["--publish", "./precious:22"], ["--restful-uri", &rest]] {
        let output = run(folder, &["run", "-k", "Image", "-t", "0", args[0], args[1]], 3);
        assert!(text(&output.stderr).contains("choose another"), "{args:?}: {}", text(&output.stderr));
        assert_eq!(fs::read(folder.join("precious")).unwrap(), b"data", "{args:?}");
    }
}

/// It may never hear a second one.
#[test]
fn one_sigterm_ends_a_guest_that_is_asked_and_does_not_power_off() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    guest::kernel(folder, &[guest::print("up"), guest::LOOP.to_vec()].concat());
    let args = ["run", "-k", "Image", "-t", "0", "--device", "pl011,logFilePath=log", "--stop-timeout", "1", "--json"];
    let child = russet(folder, &args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while fs::read_to_string(folder.join("log")).unwrap_or_default() != "up" {
        std::thread::sleep(Duration::from_millis(10));
    }
    send(&child, "-TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143));
    let told: Vec<serde_json::Value> =
        text(&output.stderr).lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let notes: Vec<&str> = told.iter().filter_map(|event| event["message"].as_str()).collect();
    assert!(notes[0].contains("once more to stop it at once, as in 1 seconds"), "{notes:?}");
    assert_eq!(notes[1..], ["the guest has not powered off: stopping the machine"]);
    assert_eq!(told.last().unwrap()["error"]["kind"], "killed");
}

/// Sends a signal to the command.
fn send(child: &std::process::Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn a_machine_has_more_disks_than_vftool_allows() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    guest::kernel(folder, guest::POWER_OFF);
    let mut args = vec!["run".to_owned(), "-k".into(), "Image".into(), "-t".into(), "0".into()];
    for index in 0..12 {
        let name = format!("{index}.img");
        fs::write(folder.join(&name), vec![0; 4096]).unwrap();
        args.extend([if index % 2 == 0 { "-d" } else { "-c" }.to_owned(), name]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    run(folder, &args, 0);
}

#[test]
fn a_reader_that_does_not_read_can_be_left() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    guest::kernel(folder, &[guest::print_much(), guest::POWER_OFF.to_vec()].concat());
    let boot = ["run", "--bootloader", "linux,kernel=Image", "--device", "pl011,stdio"];
    let mut child = russet(folder, &boot).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(child.try_wait().unwrap(), None, "the output was not waited for");
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0), "the guest powered off");
}

#[test]
fn a_pty_is_told_and_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    guest::kernel(folder, &[guest::print("up"), guest::POWER_OFF.to_vec()].concat());
    let mut command = russet(folder, &["--json", "run", "-k", "Image", "-t", "1", "--device", "pl011,logFilePath=log"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let told = BufReader::new(child.stderr.take().unwrap());
    // It stays to the end of the test: what is told later must find a reader.
    let mut events = told.lines().map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap());
    let event = events.find(|event| event["event"] == "console").expect("the console is told");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(child.try_wait().unwrap(), None);
    assert_eq!(fs::read_to_string(folder.join("log")).unwrap(), "", "the guest did not wait");
    let path = event["path"].as_str().unwrap();
    let _client = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(fs::read_to_string(folder.join("log")).unwrap(), "up");
}

#[test]
fn a_file_runs_from_any_folder() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    guest::kernel(&inner, &[guest::print("hi"), guest::POWER_OFF.to_vec()].concat());
    let toml = "[bootloader]\nkind = \"linux\"\nkernel = \"Image\"\n[[serial]]\nkind = \"pl011\"\nstdio = true\n";
    fs::write(inner.join("machine.toml"), toml).unwrap();
    let output = run(folder.path(), &["run", "inner/machine.toml", "-p", "2", "--device", "virtio-rng", "--stats"], 0);
    assert_eq!(text(&output.stdout), "hi");
    let stats = text(&output.stderr);
    assert!(stats.contains("cpu0 ") && stats.contains("cpu1 "), "{stats}");
}

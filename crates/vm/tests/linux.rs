//! Debian's kernel and busybox in a virtual machine: to a prompt, through a reset, and gracefully off.
//!
//! The guest is that of `cargo xtask guest debian`, found in the user's cache, or the folder with `Image` and
//! `initrd` that `RUSSET_TEST_GUEST` names. Without one these tests say so and do nothing.
#![expect(clippy::print_stderr, reason = "a test that is left out says so")]

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use config::{BootLoader, LinuxBoot, Machine, Network, Serial, SerialAttachment, SerialDevice, Storage};
use vm::{ConsoleStream, Event, Outcome, State, VirtualMachine};

/// Long enough for a busy host.
const PATIENCE: Duration = Duration::from_secs(120);

fn guest() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("RUSSET_TEST_GUEST") {
        return Some(folder.into());
    }
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => Path::new(&std::env::var_os("HOME")?).join(".cache"),
    };
    let guests = cache.join("russet/debian/host").read_dir().ok()?;
    let folders = guests.flatten().map(|entry| entry.path());
    let whole = folders.filter(|folder| folder.join("Image").is_file() && folder.join("initrd").is_file());
    // As old as its last use.
    whole.max_by_key(|folder| folder.metadata().and_then(|metadata| metadata.modified()).ok())
}

/// A machine with the guest and one console on a stream, or `None` without a guest.
fn machine(device: SerialDevice, console: &str, cpus: u32) -> Option<Machine> {
    let Some(guest) = guest() else {
        assert!(std::env::var_os("CI").is_none(), "there is no guest; `cargo xtask guest debian` makes one");
        eprintln!("not tested: there is no guest; `cargo xtask guest debian` makes one");
        return None;
    };
    let mut machine = Machine::new(BootLoader::Linux(LinuxBoot {
        kernel: guest.join("Image"),
        initrd: Some(guest.join("initrd")),
        cmdline: format!("console={console} cryptomgr.notests nokaslr panic=-1"),
    }));
    machine.cpus = cpus;
    machine.serial.push(Serial { device, attachment: SerialAttachment::Stdio, name: None });
    Some(machine)
}

/// What a guest says, and a way to answer.
struct Terminal {
    stream: ConsoleStream,
    said: Receiver<Vec<u8>>,
    heard: String,
}

impl Terminal {
    fn new(vm: &VirtualMachine) -> Self {
        let stream = vm.consoles()[0].take_stream().unwrap();
        let (send, said) = mpsc::channel();
        let mut from = stream.clone();
        thread::spawn(move || {
            let mut buf = [0; 4096];
            while let Ok(n @ 1..) = from.read(&mut buf) {
                if send.send(buf[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { stream, said, heard: String::new() }
    }

    /// Waits until the guest says `what`, and forgets all up to there.
    fn expect(&mut self, what: &str) {
        let limit = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.heard.find(what) {
                self.heard.drain(..at + what.len());
                return;
            }
            let left = limit.saturating_duration_since(Instant::now());
            let Ok(more) = self.said.recv_timeout(left) else {
                panic!("the guest did not say {what:?}, but:\n{}", self.heard);
            };
            self.heard.push_str(&String::from_utf8_lossy(&more));
        }
    }

    fn say(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

/// Waits for an event for which `wanted`.
fn until(events: &Receiver<Event>, wanted: impl Fn(&Event) -> bool) {
    while let Ok(event) = events.recv_timeout(PATIENCE) {
        if wanted(&event) {
            return;
        }
    }
    panic!("it did not happen");
}

#[test]
fn debian_comes_to_a_prompt_resets_and_powers_off_when_asked() {
    let Some(mut machine) = machine(SerialDevice::VirtioSerial, "hvc0", 2) else { return };
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk.img");
    std::fs::File::create(&disk).unwrap().set_len(16 << 20).unwrap();
    machine.storage.push(Storage::image(&disk));
    machine.network.push(Network::nat());
    machine.entropy = Some(config::Entropy {});
    machine.balloon = Some(config::Balloon::default());

    let vm = VirtualMachine::new(&machine).unwrap();
    assert_eq!((vm.state(), vm.wait()), (State::Stopped, None));
    let events = vm.subscribe();
    let mut terminal = Terminal::new(&vm);
    vm.start().unwrap();
    until(&events, |e| *e == Event::State(State::Running));
    assert!(vm.start().is_err(), "it runs already");

    terminal.expect("# ");
    vm.resize_terminal(97, 31);
    terminal.say("echo CPUs: $(nproc), device $((40 + 2)): $(cat /sys/class/block/vda/size)");
    terminal.expect("CPUs: 2, device 42: 32768");
    terminal.say("until stty size | grep '31 97'; do sleep 0.1; done");
    terminal.expect("\n31 97");
    terminal.say("echo from the guest | dd of=/dev/vda conv=notrunc,fsync 2>/dev/null; reboot -f");
    until(&events, |e| *e == Event::Reset);
    let written = std::fs::read(&disk).unwrap();
    assert!(written.starts_with(b"from the guest\n"));

    // The prompt of before the reset is still in what was said.
    terminal.expect("a shell of busybox");
    terminal.expect("# ");
    terminal.say("head -n 1 /dev/vda | tr a-z A-Z");
    terminal.expect("FROM THE GUEST");
    vm.request_stop().unwrap();
    until(&events, |e| *e == Event::Ended(Outcome::PoweredOff));
    assert_eq!((vm.wait(), vm.state()), (Some(Outcome::PoweredOff), State::Stopped));
    assert!(vm.counters().len() == 2 && vm.request_stop().is_err());
}

#[test]
fn the_serial_port_is_a_console_and_a_stopped_machine_can_be_started_again() {
    let Some(machine) = machine(SerialDevice::Pl011, "ttyAMA0", 1) else { return };
    let vm = VirtualMachine::new(&machine).unwrap();
    let mut terminal = Terminal::new(&vm);
    vm.start().unwrap();
    terminal.expect("# ");
    vm.stop();
    assert_eq!(vm.wait(), Some(Outcome::Killed));

    vm.start().unwrap();
    terminal.expect("Booting Linux");
    terminal.expect("# ");
    vm.request_stop().unwrap();
    assert_eq!(vm.wait(), Some(Outcome::PoweredOff));
}

#[test]
fn what_cannot_be_opened_is_named_by_its_field() {
    let boot =
        |kernel: &str| BootLoader::Linux(LinuxBoot { kernel: kernel.into(), initrd: None, cmdline: String::new() });
    let error = |machine: &Machine| VirtualMachine::new(machine).err().unwrap().to_string();
    let missing = Machine::new(boot("/nowhere/Image"));
    assert!(error(&missing).starts_with("bootloader.kernel: /nowhere/Image: "));
    assert!(error(&Machine::new(boot("/dev/null"))).contains("not a regular file"));
    assert!(error(&Machine::new(boot("/etc/passwd"))).starts_with("bootloader.kernel: the kernel is not in a format"));
    let kernel = kernel_of(0x1_0000);
    let mut machine = Machine::new(boot(kernel.path().to_str().unwrap()));
    machine.storage.push(Storage::image("/nowhere/disk"));
    assert!(error(&machine).starts_with("storage[0]: "));
    machine.storage.clear();
    machine.serial.push(Serial::console(SerialAttachment::File { path: "/nowhere/log".into(), append: false }));
    assert!(error(&machine).starts_with("serial[0]: /nowhere/log"));
}

/// A file with the header of a kernel that says it needs `size` bytes.
fn kernel_of(size: u64) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut header = [0; 64];
    header[16..24].copy_from_slice(&size.to_le_bytes());
    header[56..60].copy_from_slice(b"ARM\x64");
    std::fs::write(file.path(), header).unwrap();
    file
}

#[test]
fn a_kernel_that_does_not_fit_ends_in_an_error_that_says_so() {
    let kernel = kernel_of(1 << 40);
    let boot = LinuxBoot { kernel: kernel.path().into(), initrd: None, cmdline: String::new() };
    let vm = VirtualMachine::new(&Machine::new(BootLoader::Linux(boot))).unwrap();
    vm.start().unwrap();
    let Some(Outcome::Failed(reason)) = vm.wait() else { panic!("it ran") };
    assert!(reason.contains("give the machine more memory"), "{reason}");
    assert_eq!(vm.state(), State::Error);
}

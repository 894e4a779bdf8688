//! What a guest finds on the board: the kernel, the device tree, and devices that answer where the tree says.

mod common;

use std::io::{Read, Write};
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::{file, machine, parts};
use devices::virtio::console;
use hv::Exit;
use machine::{End, Event};
use vm_memory::{Bytes, GuestAddress};

const PL011: u64 = 0x0900_0000;
const PL061: u64 = 0x0903_0000;
const GICD: u64 = 0x0800_0000;
const GICR_WAKER: u64 = 0x080a_0014;

fn cells(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|c| u32::from_be_bytes(*c)).collect()
}

#[test]
fn the_first_cpu_begins_in_the_kernel_with_the_tree_in_x0() {
    let mut parts = parts(2);
    parts.boot = common::linux(Some(file(&[7; 5000])), "console=ttyAMA0");
    let (mut machine, _) = machine(parts, |cpu| {
        let Some(boot) = cpu.boot else { return cpu.sleep() };
        assert_eq!((cpu.index, boot.pc), (0, 0x4000_0000));
        let name: [u8; 6] = cpu.memory.read_obj(GuestAddress(boot.pc + 4090)).unwrap();
        assert_eq!(&name, b"kernel");

        let tree = cpu.tree();
        assert_eq!(tree["/chosen:bootargs"], b"console=ttyAMA0\0");
        assert!(!tree.contains_key("/chosen:stdout-path"), "the serial port leads nowhere");
        assert_eq!(tree["/psci:method"], b"hvc\0");
        assert_eq!(cells(&tree["/memory@40000000:reg"]), [0, 0x4000_0000, 0, 64 << 20]);
        assert_eq!(cells(&tree["/cpus/cpu@1:reg"]), [1]);
        assert!(!tree.contains_key("/cpus/cpu@2:reg"));
        assert_eq!(cells(&tree["/timer:interrupts"])[3..6], [1, 14, 4]);
        assert!(tree.contains_key("/interrupt-controller@8000000:interrupt-controller"));
        assert!(tree.contains_key("/pcie@3f000000:msi-map"));
        let gic = &tree["/interrupt-controller@8000000:phandle"];
        assert_eq!(&tree[":interrupt-parent"], gic);
        let seed = &tree["/chosen:rng-seed"];
        assert!(seed.len() >= 32 && seed.iter().any(|b| *b != 0));

        let at = |name: &str| u64::from_be_bytes(tree[name].as_slice().try_into().unwrap());
        let (start, end) = (at("/chosen:linux,initrd-start"), at("/chosen:linux,initrd-end"));
        assert_eq!(end - start, 5000);
        let last: u8 = cpu.memory.read_obj(GuestAddress(end - 1)).unwrap();
        assert_eq!(last, 7);
        // Kernel, tree and RAM disk do not touch.
        assert!(boot.pc + 0x1_0000 <= boot.x0 && boot.x0 + (2 << 20) <= start);
        Exit::PoweredOff
    });
    let outcome = machine.run(|_| ()).unwrap();
    assert_eq!(outcome.end, End::PoweredOff);
    assert_eq!(outcome.counters, [vec![("index", 0)], vec![("index", 1)]]);
}

#[test]
fn the_serial_port_speaks_and_listens() {
    let (port, end) = console::pipe();
    let mut parts = parts(1);
    parts.serial = Some(port);
    let (mut machine, _) = machine(parts, |cpu| {
        let tree = cpu.tree();
        let path = String::from_utf8(tree["/chosen:stdout-path"].clone()).unwrap();
        assert_eq!(path.trim_end_matches('\0'), "/serial@9000000");
        assert!(tree.contains_key("/serial@9000000:compatible"));
        // Enable, both directions, with FIFOs, and send.
        cpu.write32(PL011 + 0x2c, 0x70);
        cpu.write32(PL011 + 0x30, 0x301);
        b"who?".iter().for_each(|b| cpu.write32(PL011, (*b).into()));
        // Longer than the FIFO.
        let mut name = Vec::new();
        while name.len() < 100 {
            if cpu.read32(PL011 + 0x18) & 0x10 == 0 {
                name.push(cpu.read32(PL011) as u8);
            }
        }
        assert!(name.iter().enumerate().all(|(i, b)| usize::from(*b) == i));
        Exit::PoweredOff
    });
    let host = std::thread::spawn(move || {
        let mut asked = [0; 4];
        (&end).read_exact(&mut asked).unwrap();
        assert_eq!(&asked, b"who?");
        let name: Vec<u8> = (0..100).collect();
        (&end).write_all(&name).unwrap();
    });
    assert_eq!(machine.run(|_| ()).unwrap().end, End::PoweredOff);
    host.join().unwrap();
}

#[test]
fn what_was_said_before_power_off_reaches_a_slow_reader() {
    let (port, end) = console::pipe();
    let mut parts = parts(1);
    parts.serial = Some(port);
    let (mut machine, _) = machine(parts, |cpu| {
        (0..100_000).for_each(|n| cpu.write32(PL011, n & 0xff));
        Exit::PoweredOff
    });
    let host = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(150));
        let mut said = vec![0; 100_000];
        (&end).read_exact(&mut said).unwrap();
        assert!(said.iter().enumerate().all(|(n, b)| n as u8 == *b));
    });
    assert_eq!(machine.run(|_| ()).unwrap().end, End::PoweredOff);
    host.join().unwrap();
}

#[test]
fn the_power_button_interrupts_a_guest_that_listens() {
    let (ready, is_ready) = mpsc::channel();
    let (mut machine, _) = machine(parts(1), move |cpu| {
        let tree = cpu.tree();
        assert_eq!(cells(&tree["/gpio-keys/poweroff:linux,code"]), [116]);
        let [_, spi, _] = cells(&tree["/pl061@9030000:interrupts"])[..] else { panic!() };
        let (intid, gic) = (32 + spi, cpu.env.gic.as_ref().unwrap());
        cpu.write32(GICR_WAKER, 0);
        // Group 1 on, the SPI in it and enabled, routed to CPU 0; the CPU takes all priorities.
        cpu.write32(GICD, 0x12);
        cpu.write32(GICD + 0x80 + u64::from(intid / 32) * 4, 1 << (intid % 32));
        cpu.write32(GICD + 0x100 + u64::from(intid / 32) * 4, 1 << (intid % 32));
        assert!(gic.write_icc(0, arm64::sysreg::ICC_PMR_EL1, 0xff));
        assert!(gic.write_icc(0, arm64::sysreg::ICC_IGRPEN1_EL1, 1));
        cpu.write32(PL061 + 0x408, 1 << 3);
        cpu.write32(PL061 + 0x410, 1 << 3);
        ready.send(()).unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while !cpu.lines.irq.load(Ordering::SeqCst) {
            assert!(Instant::now() < end, "no interrupt");
            std::thread::yield_now();
        }
        assert_eq!(gic.read_icc(0, arm64::sysreg::ICC_IAR1_EL1), Some(intid.into()));
        assert_eq!(cpu.read32(PL061 + 0x20), 1 << 3);
        Exit::PoweredOff
    });
    let control = machine.control();
    assert!(!control.set_power_button(true), "the machine does not run yet");
    let user = std::thread::spawn(move || {
        is_ready.recv().unwrap();
        assert!(control.set_power_button(true));
    });
    assert_eq!(machine.run(|_| ()).unwrap().end, End::PoweredOff);
    user.join().unwrap();
}

#[test]
fn nobody_is_told_of_a_button_without_a_driver() {
    let (mut machine, _) = machine(parts(1), |cpu| cpu.sleep());
    let control = machine.control();
    let outcome = machine.run(|event| {
        assert_eq!(event, Event::Started);
        assert!(!control.set_power_button(true));
        control.stop();
    });
    assert_eq!(outcome.unwrap().end, End::Stopped);
}

//! Virtio over PCI: what is the transport's own and not of a device class.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use devices::pci::spec;
use devices::virtio::entropy::Entropy;
use devices::virtio::pci::spec::{REGISTER_BAR, cap};
use devices::virtio::spec::{feature, status};
use devices::virtio::{ActivateError, Activation, VirtioDevice, Virtqueue};
use testkit::{Driver, Guest, PATIENCE};

fn driver() -> Driver {
    Guest::new().plug(Arc::new(Entropy::new(io::repeat(0x5a))))
}

#[test]
fn the_function_is_a_modern_virtio_device() {
    let driver = driver();
    let guest = driver.guest();
    let read = |register| guest.read32(guest.config(driver.devfn(), register));
    assert_eq!(read(0), 0x1044_1af4);
    assert_eq!(read(8), 0x00_ff_00_01, "revision 1 and more have no legacy interface");
    assert_eq!(read(0x2c), 0x1044_1af4);
}

#[test]
fn fields_can_be_read_and_written_in_parts_and_together() {
    let driver = driver();
    let (guest, common) = (driver.guest(), driver.common());
    // Bytes of a 64-bit field, one by one.
    driver.write16(0x16, 0);
    for i in 0..8 {
        guest.bus().write(common + 0x20 + i, &[0x10 + i as u8]);
    }
    assert_eq!(guest.read::<8>(common + 0x20), [0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17]);
    assert_eq!(guest.read::<2>(common + 0x23), [0x13, 0x14]);
    guest.bus().write(common + 0x24, &[9; 4]);
    assert_eq!(guest.read::<8>(common + 0x20), [0x10, 0x11, 0x12, 0x13, 9, 9, 9, 9]);
    // Queue size, vector, enable and place of notifications in one.
    assert_eq!(guest.read::<8>(common + 0x18), [64, 0, 0xff, 0xff, 0, 0, 0, 0]);
    assert_eq!(guest.read::<8>(common + 0x38), [0; 8]);
    assert_eq!(guest.read::<8>(common + 0x800), [0; 8]);
}

#[test]
fn there_are_two_words_of_features() {
    let driver = driver();
    let (guest, common) = (driver.guest(), driver.common());
    for select in [2, 3, u32::MAX] {
        guest.write32(common, select);
        assert_eq!(guest.read32(common + 4), 0);
    }
    // A feature beyond is a feature that was not offered.
    driver.set_status(status::ACKNOWLEDGE | status::DRIVER);
    driver.accept(feature::VERSION_1);
    guest.write32(common + 8, 2);
    guest.write32(common + 12, 1);
    driver.set_status(status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK);
    assert_eq!(driver.status() & status::FEATURES_OK, 0);
    guest.write32(common + 12, 0);
    driver.set_status(status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK);
    assert_ne!(driver.status() & status::FEATURES_OK, 0);
}

#[test]
fn vectors_that_do_not_exist_are_refused() {
    let driver = driver();
    for (value, kept) in [(0, 0), (1, 1), (2, 0xffff), (0x7fff, 0xffff), (0xffff, 0xffff)] {
        driver.write16(0x10, value);
        assert_eq!(driver.read16(0x10), kept);
        driver.write16(0x16, 0);
        driver.write16(0x1a, value);
        assert_eq!(driver.read16(0x1a), kept);
    }
}

#[test]
fn a_driver_ok_out_of_order_starts_nothing() {
    let mut driver = driver();
    driver.set_status(status::ACKNOWLEDGE | status::DRIVER | status::DRIVER_OK);
    assert_eq!(driver.status(), status::ACKNOWLEDGE | status::DRIVER | status::DEVICE_NEEDS_RESET);
    driver.init(0);
    driver.set_status(status::FAILED);
    assert_ne!(driver.status() & status::FAILED, 0);
    driver.reset();
    driver.set_status(status::DEVICE_NEEDS_RESET);
    assert_eq!(driver.status(), 0, "only the device sets that one");
}

/// The bus master enable of the command register is the guest's word that the device may reach its memory.
#[test]
fn a_device_that_may_not_reach_memory_waits() {
    let mut driver = driver();
    let set_master = |driver: &Driver, enabled: bool| {
        let command = spec::COMMAND_MEMORY | if enabled { spec::COMMAND_MASTER } else { 0 };
        driver.guest().bus().write(driver.guest().config(driver.devfn(), spec::COMMAND), &command.to_le_bytes());
    };
    let waits = |driver: &mut Driver| {
        driver.add(0, &[], &[4]);
        driver.kick(0);
        assert!(driver.try_wait(0, Duration::from_millis(50)).is_none());
        set_master(driver, true);
        driver.wait(0);
    };
    driver.init(0);
    set_master(&driver, false);
    waits(&mut driver);
    // The same for one that is not running yet, and a reset needs no memory.
    set_master(&driver, false);
    driver.reset();
    driver.init(0);
    waits(&mut driver);
}

#[test]
fn the_isr_status_tells_and_forgets() {
    let mut driver = driver();
    driver.init(0);
    assert_eq!(driver.isr(), 0);
    driver.request(0, &[], &[4]);
    assert_eq!((driver.isr(), driver.isr()), (1, 0));
    driver.ring(0).publish(0xffff);
    let seen = driver.interrupt_count(driver.config_vector());
    driver.kick(0);
    driver.wait_config(seen);
    assert_eq!(driver.isr(), 2);
    assert_ne!(driver.status() & status::DEVICE_NEEDS_RESET, 0);
}

#[test]
fn registers_can_be_reached_through_configuration_space() {
    let driver = driver();
    let guest = driver.guest();
    let byte = |register| guest.read::<1>(guest.config(driver.devfn(), register))[0];
    let mut at = u16::from(byte(0x34));
    while (byte(at), byte(at + 3)) != (9, cap::PCI) {
        at = u16::from(byte(at + 1));
    }
    let config = |offset: u16| guest.config(driver.devfn(), at + offset);
    let point = |bar: usize, offset: u32, length: u32| {
        guest.bus().write(config(4), &[bar as u8]);
        guest.write32(config(8), offset);
        guest.write32(config(12), length);
    };
    point(REGISTER_BAR, 0x18, 2);
    assert_eq!(guest.read::<2>(config(16)), [64, 0]);
    guest.bus().write(config(16), &[16, 0]);
    assert_eq!(driver.read16(0x18), 16);
    point(REGISTER_BAR, 0x14, 1);
    guest.bus().write(config(16), &[status::ACKNOWLEDGE]);
    assert_eq!(driver.status(), status::ACKNOWLEDGE);
    // What is no register of ours is not reached, and bears it.
    for (bar, offset, length) in
        [(1, 0x14, 1), (0, 0x15, 2), (0, 0x14, 3), (0, 0x4000, 1), (0, u32::MAX - 3, 4), (0, 0, 0)]
    {
        point(bar, offset, length);
        guest.bus().write(config(16), &[0xff]);
        let _ = guest.read::<4>(config(16));
        assert_eq!(driver.status(), status::ACKNOWLEDGE);
    }
}

#[test]
fn a_machine_reset_is_a_device_reset() {
    let mut driver = driver();
    driver.init(0);
    driver.request(0, &[], &[4]);
    let common = driver.common();
    driver.guest().bridge().reset();
    assert_eq!(driver.guest().read::<8>(common + 0x10), [0; 8], "the BAR is gone");
    driver.transport().start();
    driver.transport().stop();
}

/// A device that tells of each call, and takes its time in `activate` and `stop`.
struct Slow {
    calls: Sender<&'static str>,
    go_on: Mutex<Receiver<()>>,
    queues: Mutex<Vec<Option<Virtqueue>>>,
}

impl Slow {
    fn call(&self, name: &'static str) {
        self.calls.send(name).unwrap();
        self.go_on.lock().unwrap().recv().unwrap();
    }
}

impl VirtioDevice for Slow {
    fn device_type(&self) -> u16 {
        4
    }
    fn features(&self) -> u64 {
        0
    }
    fn queue_sizes(&self) -> &[u16] {
        &[8]
    }
    fn read_config(&self, _: u64, _: &mut [u8]) {}
    fn activate(&self, activation: Activation) -> Result<(), ActivateError> {
        *self.queues.lock().unwrap() = activation.queues;
        self.call("activate");
        Ok(())
    }
    fn notify(&self, _: u16) {}
    fn stop(&self) -> Vec<Option<Virtqueue>> {
        self.call("stop");
        std::mem::take(&mut self.queues.lock().unwrap())
    }
    fn reset(&self) {
        self.calls.send("reset").unwrap();
    }
}

#[test]
fn a_reset_while_the_device_starts_or_stops_waits_its_turn_and_holds_nobody_up() {
    let ((calls, called), (go, go_on)) = (channel(), channel());
    let device = Arc::new(Slow { calls, go_on: Mutex::new(go_on), queues: Mutex::default() });
    let mut driver = Guest::new().plug(device);
    let (guest, at) = (driver.guest().clone(), driver.common() + 0x14);
    // Negotiation begins with a reset, which stops the device.
    let other_cpu = std::thread::spawn(move || {
        driver.negotiate(feature::VERSION_1).unwrap();
        driver.enable_queue(0, 0);
        driver.start();
    });
    assert_eq!(called.recv_timeout(PATIENCE).unwrap(), "stop");
    go.send(()).unwrap();
    assert_eq!(called.recv_timeout(PATIENCE).unwrap(), "reset");
    assert_eq!(called.recv_timeout(PATIENCE).unwrap(), "activate");
    // This CPU comes back at once, and the device is reset when it has started.
    guest.bus().write(at, &[0]);
    assert_ne!(guest.read::<1>(at), [0], "the reset is not done yet");
    go.send(()).unwrap();
    assert_eq!(called.recv_timeout(PATIENCE).unwrap(), "stop");
    guest.bus().write(at, &[0]);
    assert_ne!(guest.read::<1>(at), [0]);
    go.send(()).unwrap();
    assert_eq!(called.recv_timeout(PATIENCE).unwrap(), "reset");
    other_cpu.join().unwrap();
    assert_eq!(guest.read::<1>(at), [0]);
    assert!(called.try_recv().is_err(), "one reset, not two");
}

/// One CPU takes the leave to reach memory away, and another gives it back before the device has stopped.
#[test]
fn the_command_register_has_the_last_word_when_two_cpus_write_it_at_once() {
    let ((calls, called), (go, go_on)) = (channel(), channel());
    let mut driver = Guest::new().plug(Arc::new(Slow { calls, go_on: Mutex::new(go_on), queues: Mutex::default() }));
    let guest = driver.guest().clone();
    let register = guest.config(driver.devfn(), spec::COMMAND);
    // Negotiation begins with a reset, which stops the device.
    (0..2).for_each(|_| go.send(()).unwrap());
    driver.negotiate(feature::VERSION_1).unwrap();
    driver.enable_queue(0, 0);
    driver.start();
    for name in ["stop", "reset", "activate"] {
        assert_eq!(called.recv_timeout(PATIENCE).unwrap(), name);
    }
    let write = |enabled: bool| {
        let command = spec::COMMAND_MEMORY | if enabled { spec::COMMAND_MASTER } else { 0 };
        guest.bus().write(register, &command.to_le_bytes());
    };
    std::thread::scope(|scope| {
        let other_cpu = scope.spawn(|| write(false));
        assert_eq!(called.recv_timeout(PATIENCE).unwrap(), "stop");
        write(true);
        // It stops, and starts again.
        (0..2).for_each(|_| go.send(()).unwrap());
        assert_eq!(called.recv_timeout(PATIENCE).unwrap(), "activate");
        other_cpu.join().unwrap();
    });
    std::thread::scope(|scope| {
        let other_cpu = scope.spawn(|| write(false));
        assert_eq!(called.recv_timeout(PATIENCE).unwrap(), "stop");
        go.send(()).unwrap();
        other_cpu.join().unwrap();
        let other_cpu = scope.spawn(|| write(true));
        assert_eq!(called.recv_timeout(PATIENCE).unwrap(), "activate");
        write(false);
        // It starts, and stops again.
        (0..2).for_each(|_| go.send(()).unwrap());
        assert_eq!(called.recv_timeout(PATIENCE).unwrap(), "stop");
        other_cpu.join().unwrap();
    });
    assert!(called.try_recv().is_err());
}

/// What the card stands on may be taken away when it has left its slot.
#[test]
fn a_reset_of_the_function_waits_for_a_cpu_that_is_just_starting_the_device() {
    let ((calls, called), (go, go_on)) = (channel(), channel());
    let mut driver = Guest::new().plug(Arc::new(Slow { calls, go_on: Mutex::new(go_on), queues: Mutex::default() }));
    let (guest, devfn) = (driver.guest().clone(), driver.devfn());
    go.send(()).unwrap();
    driver.negotiate(feature::VERSION_1).unwrap();
    driver.enable_queue(0, 0);
    let other_cpu = std::thread::spawn(move || driver.start());
    for name in ["stop", "reset", "activate"] {
        assert_eq!(called.recv_timeout(PATIENCE).unwrap(), name);
    }
    std::thread::scope(|scope| {
        let bridge = guest.bridge().clone();
        let reset = scope.spawn(move || {
            bridge.reset();
            called.try_iter().collect::<Vec<_>>()
        });
        while guest.read::<2>(guest.config(devfn, spec::COMMAND)) != [0; 2] {
            std::thread::yield_now();
        }
        (0..2).for_each(|_| go.send(()).unwrap());
        assert_eq!(reset.join().unwrap(), ["stop", "reset"]);
    });
    other_cpu.join().unwrap();
}

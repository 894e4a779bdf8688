//! The PCI host bridge, configuration space, BARs and MSI-X, as a guest's CPU works them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use devices::bus::MmioDevice;
use devices::pci::{
    BarKind, Function, FunctionBuilder, FunctionHooks, HostBridge, Identity, Msix, PciError, Requester, Slot,
};
use parking_lot::Mutex;
use testkit::{Guest, Interrupts};
use vm_fdt::FdtWriter;

const COMMAND: u16 = 4;
const BAR: u16 = 0x10;
const MEMORY: u32 = 2;
const MASTER: u32 = 4;

struct Registers(u8);
impl MmioDevice for Registers {
    fn read(&self, offset: u64, data: &mut [u8]) {
        data.fill(self.0 ^ offset as u8);
    }
    fn write(&self, _: u64, _: &[u8]) {}
}

#[derive(Default)]
struct Hooks(Mutex<Vec<Vec<u8>>>);
impl FunctionHooks for Hooks {
    fn read_live(&self, _: &[u8], _: u16, data: &mut [u8]) {
        data.fill(0x77);
    }
    fn write_live(&self, capability: &[u8], _: u16, data: &[u8]) {
        self.0.lock().push([&capability[..20], data].concat());
    }
    fn reset(&self) {
        self.0.lock().push(b"reset".to_vec());
    }
}

const ID: Identity = Identity {
    vendor: 0x1234,
    device: 0x5678,
    revision: 9,
    class: 0x01_08_02,
    subsystem_vendor: 0xaaaa,
    subsystem: 0xbbbb,
};

struct Board {
    guest: Guest,
    function: Arc<Function>,
    msix: Arc<Msix>,
    hooks: Arc<Hooks>,
    devfn: u32,
}

impl Board {
    /// BAR 0: 64 KiB of 64 bits, BAR 2: MSI-X, BAR 4: 4 KiB of 32 bits.
    fn new() -> Self {
        let guest = Guest::new();
        let slot = guest.bridge().slot_at(3, 0).unwrap();
        let devfn = slot.device_id();
        let hooks = Arc::new(Hooks::default());
        let (builder, msix) = FunctionBuilder::new(slot, ID)
            .bar(0, BarKind::Memory64, 0x1_0000, Arc::new(Registers(0xa0)))
            .bar(4, BarKind::Memory32, 0x100, Arc::new(Registers(0xb0)))
            .capability(0x09, &[6, 1, 2, 3], &[0, 0, 0xf0])
            .live(0x09, &[18, 0, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[0, 0, 0xff], 16..20)
            .msix(70, 2);
        let function = builder.plug(hooks.clone());
        Self { guest, function, msix, hooks, devfn }
    }

    fn read(&self, register: u16) -> u32 {
        self.guest.read32(self.guest.config(self.devfn, register))
    }

    fn write(&self, register: u16, value: u32) {
        self.guest.write32(self.guest.config(self.devfn, register), value);
    }

    /// The first byte at an address.
    fn at(&self, addr: u64) -> u8 {
        self.guest.read::<1>(addr)[0]
    }

    fn find(&self, id: u8) -> u16 {
        let byte = |register: u16| self.guest.read::<1>(self.guest.config(self.devfn, register))[0];
        let mut at = u16::from(byte(0x34));
        while byte(at) != id {
            at = u16::from(byte(at + 1));
            assert_ne!(at, 0, "no capability {id:#x}");
        }
        at
    }

    /// Places and enables MSI-X and returns the address of its table.
    fn start_msix(&self, control: u16) -> u64 {
        let base = Guest::BARS + 0x1000_0000;
        self.write(BAR + 8, base as u32);
        self.write(BAR + 12, (base >> 32) as u32);
        self.write(COMMAND, MEMORY | MASTER);
        self.set_control(control);
        base
    }

    fn set_control(&self, control: u16) {
        let at = self.guest.config(self.devfn, self.find(0x11) + 2);
        self.guest.bus().write(at, &control.to_le_bytes());
    }

    fn set_vector(&self, table: u64, vector: u64, masked: bool) {
        let entry = table + 16 * vector;
        self.guest.write32(entry, Interrupts::ADDRESS as u32);
        self.guest.write32(entry + 4, (Interrupts::ADDRESS >> 32) as u32);
        self.guest.write32(entry + 8, 1000 + vector as u32);
        self.guest.write32(entry + 12, masked.into());
    }

    fn count(&self, vector: u32) -> u64 {
        self.guest.interrupts().count(self.devfn, 1000 + vector)
    }
}

#[test]
fn the_header_identifies_the_function() {
    let board = Board::new();
    assert_eq!(board.read(0), 0x5678_1234);
    assert_eq!(board.read(8), 0x01_08_02_09);
    assert_eq!(board.read(0x2c), 0xbbbb_aaaa);
    assert_eq!(board.read(COMMAND), 0x0010_0000, "a list of capabilities, nothing enabled");
    assert_eq!(board.read(0x3c) >> 8, 0, "no legacy interrupt");
    assert_eq!(board.guest.read::<2>(board.guest.config(board.devfn, 2)), [0x78, 0x56]);
    for register in [0, 8, 0x2c, 0x34] {
        let old = board.read(register);
        board.write(register, !old);
        assert_eq!(board.read(register), old, "register {register:#x} is read-only");
    }
    assert_eq!(board.read(0x100), 0, "no extended capabilities");
    assert_eq!(board.read(0xffc), 0);
}

#[test]
fn functions_that_are_not_there_read_as_ones() {
    let guest = Guest::new();
    assert_eq!(guest.read32(guest.config(0, 0)), 0x0008_1b36, "the bridge itself");
    for devfn in [1, 8, 255] {
        assert_eq!(guest.read32(guest.config(devfn, 0)), u32::MAX);
        guest.write32(guest.config(devfn, 4), 0);
    }
    assert_eq!(guest.read::<8>(guest.config(8, 0)), [0xff; 8]);
}

#[test]
fn bars_tell_their_size() {
    let board = Board::new();
    for (register, low, high) in [(0x10, 0xffff_0004, u32::MAX), (0x18, 0xffff_f004, u32::MAX), (0x20, 0xffff_f000, 0)]
    {
        board.write(register, u32::MAX);
        board.write(register + 4, u32::MAX);
        assert_eq!((board.read(register), board.read(register + 4)), (low, high));
    }
    assert_eq!(board.read(0x30), 0, "no expansion ROM");
}

#[test]
fn a_bar_answers_where_the_guest_put_it_while_memory_is_enabled() {
    let board = Board::new();
    let place = |addr: u64| {
        board.write(BAR, addr as u32);
        board.write(BAR + 4, (addr >> 32) as u32);
    };
    let (first, second) = (Guest::BARS + 0x10_0000, Guest::BARS + 0x20_0000);
    place(first);
    assert_eq!(board.at(first + 1), 0, "decoding is off");
    board.write(COMMAND, MEMORY);
    assert_eq!((board.at(first + 1), board.at(first + 0xfff2)), (0xa1, 0x52));
    place(second);
    assert_eq!((board.at(first + 1), board.at(second + 1)), (0, 0xa1));
    board.write(COMMAND, 0);
    assert_eq!(board.at(second + 1), 0);
    board.write(COMMAND, MEMORY);
    assert_eq!(board.at(second + 1), 0xa1);
    board.write(BAR + 16, 0x1800_0000);
    assert_eq!(board.at(0x1800_0001), 0xb1);
    board.function.reset();
    assert_eq!((board.at(second + 1), board.at(0x1800_0001), board.read(BAR)), (0, 0, 4));
    assert_eq!(*board.hooks.0.lock(), [b"reset"]);
}

#[test]
fn a_bar_outside_the_windows_or_over_another_answers_nowhere() {
    let board = Board::new();
    board.write(COMMAND, MEMORY);
    for addr in [0x2000_0000, 0x0fff_0000, Guest::RAM, Guest::ECAM, Guest::BARS + (1 << 32), Guest::BARS - 0x1_0000] {
        board.write(BAR, addr as u32);
        board.write(BAR + 4, (addr >> 32) as u32);
        assert_ne!(board.at(addr + 1), 0xa1, "{addr:#x}");
    }
    // Two BARs in one place: the first keeps it, and the second comes when the first goes.
    board.write(BAR + 16, 0x1800_0000);
    board.write(BAR, 0x1800_0000);
    board.write(BAR + 4, 0);
    assert_eq!(board.at(0x1800_0001), 0xb1);
    board.write(BAR + 16, 0x1900_0000);
    assert_eq!((board.at(0x1800_0001), board.at(0x1900_0001)), (0xa1, 0xb1));
}

#[test]
fn capabilities_have_writable_and_live_parts() {
    let board = Board::new();
    let second = board.find(0x09);
    board.write(second, u32::MAX);
    let first_next = board.read(second) >> 8 & 0xff;
    assert_eq!(board.read(second), 0x0106_0009 | first_next << 8, "the body's first two bytes are read-only");
    board.write(second + 4, u32::MAX);
    assert_eq!(board.read(second + 4), 0x0000_03f2);

    let live = first_next as u16;
    assert_eq!(board.read(live + 16), 0x7777_7777);
    assert_eq!(board.read(live + 12), 0);
    board.write(live + 16, 0x0403_0201);
    let calls = board.hooks.0.lock();
    assert_eq!((&calls[0][..3], &calls[0][20..]), (&[0x09, calls[0][1], 18][..], &[1, 2, 3, 4][..]));
}

#[test]
fn vectors_are_masked_until_the_guest_says_otherwise() {
    let board = Board::new();
    let table = board.start_msix(0x8000);
    assert_eq!(board.msix.vectors(), 70);
    assert_eq!(board.guest.read32(table + 16 * 69 + 12), 1);
    board.msix.signal(69);
    assert_eq!(board.count(69), 0);
    let pending = table + 0x800;
    assert_eq!(board.guest.read::<8>(pending + 8), [1 << 5, 0, 0, 0, 0, 0, 0, 0]);
    board.set_vector(table, 69, false);
    assert_eq!((board.count(69), board.guest.read32(pending + 8)), (1, 0), "what was pending is sent, once");
    board.msix.signal(69);
    assert_eq!(board.count(69), 2);
    board.msix.signal(70);
    board.msix.signal(0xffff);
}

#[test]
fn the_function_mask_holds_all_vectors_back() {
    let board = Board::new();
    let table = board.start_msix(0xc000);
    board.set_vector(table, 0, false);
    board.set_vector(table, 33, false);
    board.set_vector(table, 34, true);
    for vector in [0, 0, 33, 34] {
        board.msix.signal(vector);
    }
    assert_eq!((board.count(0), board.count(33), board.guest.read32(table + 0x800)), (0, 0, 1));
    assert_eq!(board.guest.read32(table + 0x804), 6);
    board.guest.write32(table + 0x804, 0);
    assert_eq!(board.guest.read32(table + 0x804), 6, "pending bits are read-only");
    board.set_control(0x8000);
    assert_eq!((board.count(0), board.count(33), board.count(34)), (1, 1, 0));
    board.set_control(0);
    board.msix.signal(0);
    board.set_control(0x8000);
    assert_eq!(board.count(0), 1, "without MSI-X there is nothing to be pending");
}

#[test]
fn messages_wait_until_the_function_may_write_to_memory() {
    let board = Board::new();
    let table = board.start_msix(0x8000);
    board.set_vector(table, 0, false);
    board.write(COMMAND, MEMORY);
    board.msix.signal(0);
    assert_eq!((board.count(0), board.guest.read32(table + 0x800)), (0, 1));
    board.write(COMMAND, MEMORY | MASTER);
    assert_eq!((board.count(0), board.guest.read32(table + 0x800)), (1, 0));
}

/// A device that lingers when it is told of the first change, and then notes what it finds.
struct Lingering {
    requester: Requester,
    told: Mutex<Option<(Sender<()>, Receiver<()>)>>,
    may: Mutex<Option<bool>>,
}

impl FunctionHooks for Lingering {
    fn master_changed(&self) {
        let first = self.told.lock().take();
        if let Some((told, go_on)) = first {
            told.send(()).unwrap();
            go_on.recv().unwrap();
        }
        *self.may.lock() = Some(self.requester.is_master());
    }
}

#[test]
fn a_device_knows_what_the_command_register_says_when_two_cpus_write_it_at_once() {
    let guest = Guest::new();
    let slot = guest.bridge().slot_at(3, 0).unwrap();
    let command = guest.config(slot.device_id(), COMMAND);
    let ((tell, told), (go, go_on)) = (channel(), channel());
    let requester = slot.requester();
    let device = Arc::new(Lingering { requester, told: Mutex::new(Some((tell, go_on))), may: Mutex::default() });
    FunctionBuilder::new(slot, ID).plug(device.clone());
    thread::scope(|scope| {
        let other_cpu = scope.spawn(|| guest.write32(command, MASTER));
        told.recv().unwrap();
        guest.write32(command, 0);
        assert_eq!(*device.may.lock(), Some(false));
        go.send(()).unwrap();
        other_cpu.join().unwrap();
    });
    assert_eq!((guest.read32(command) & MASTER, *device.may.lock()), (0, Some(false)));
}

#[test]
fn who_takes_the_leave_to_reach_memory_waits_for_who_has_it() {
    let guest = Guest::new();
    let slot = guest.bridge().slot_at(3, 0).unwrap();
    let command = guest.config(slot.device_id(), COMMAND);
    let requester = slot.requester();
    plain(slot);
    assert!(requester.permit().is_none());
    guest.write32(command, MASTER);
    let permit = requester.permit().unwrap();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let other_cpu = scope.spawn(|| {
            guest.write32(command, 0);
            assert!(ended.load(Ordering::SeqCst), "it has not waited");
        });
        while requester.is_master() {
            thread::yield_now();
        }
        assert!(requester.permit().is_none());
        ended.store(true, Ordering::SeqCst);
        drop(permit);
        other_cpu.join().unwrap();
    });
    // Nobody waits for what goes on with leave given anew.
    guest.write32(command, MASTER);
    let _permit = requester.permit().unwrap();
    thread::scope(|scope| {
        let other_cpu = scope.spawn(|| guest.write32(command, 0));
        while requester.is_master() {
            thread::yield_now();
        }
        guest.write32(command, MASTER);
        other_cpu.join().unwrap();
    });
}

#[test]
fn the_table_takes_aligned_words_only() {
    let board = Board::new();
    let table = board.start_msix(0x8000);
    board.guest.bus().write(table, &0x1122_3344_5566_7788u64.to_le_bytes());
    assert_eq!(board.guest.read::<8>(table), 0x1122_3344_5566_7788u64.to_le_bytes());
    board.guest.bus().write(table + 1, &[0xff; 4]);
    board.guest.bus().write(table + 4, &[0xff; 2]);
    assert_eq!(board.guest.read::<8>(table), 0x1122_3344_5566_7788u64.to_le_bytes());
    board.guest.write32(table, u32::MAX);
    assert_eq!(board.guest.read32(table), !3, "the address is a multiple of 4");
    board.function.reset();
    let table = board.start_msix(0);
    assert_eq!(board.guest.read::<16>(table), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
}

fn plain(slot: Slot) {
    FunctionBuilder::new(slot, ID).plug(Arc::new(Hooks::default()));
}

#[test]
fn slots_are_given_once_and_run_out() {
    let guest = Guest::new();
    let bridge: &HostBridge = guest.bridge();
    let taken = |device, function| Some(PciError::Slot { device, function });
    assert_eq!(bridge.slot_at(0, 0).err(), taken(0, 0));
    assert_eq!(bridge.slot_at(32, 0).err(), taken(32, 0));
    assert_eq!(bridge.slot_at(1, 8).err(), taken(1, 8));
    for device in 1..32 {
        let slot = bridge.free_slot().unwrap();
        assert_eq!(slot.device_id(), device << 3);
        plain(slot);
    }
    assert_eq!(bridge.free_slot().err(), Some(PciError::Full));
}

#[test]
fn a_device_with_several_functions_says_so() {
    let guest = Guest::new();
    let header = |devfn| guest.read::<1>(guest.config(devfn, 0x0e))[0];
    plain(guest.bridge().slot_at(5, 0).unwrap());
    assert_eq!(header(40), 0);
    plain(guest.bridge().slot_at(5, 3).unwrap());
    assert_eq!((header(40), header(43)), (0x80, 0));
    guest.bridge().reset();
    assert_eq!(header(40), 0x80);
}

#[test]
fn the_device_tree_describes_the_bridge() {
    let guest = Guest::new();
    let mut fdt = FdtWriter::new().unwrap();
    let root = fdt.begin_node("").unwrap();
    guest.bridge().write_fdt(&mut fdt, 7).unwrap();
    fdt.end_node(root).unwrap();
    let blob = fdt.finish().unwrap();
    let has = |cells: &[u32]| {
        let bytes: Vec<u8> = cells.iter().flat_map(|c| c.to_be_bytes()).collect();
        blob.windows(bytes.len()).any(|w| w == bytes)
    };
    assert!(blob.windows(13).any(|w| w == b"pcie@3f000000"));
    assert!(blob.windows(22).any(|w| w == b"pci-host-ecam-generic\0"));
    assert!(has(&[0, 0x3f00_0000, 0, 0x100_0000]), "reg");
    assert!(has(&[0x0200_0000, 0, 0x1000_0000, 0, 0x1000_0000, 0, 0x1000_0000]), "the window of 32 bits");
    assert!(has(&[0x0300_0000, 0x80, 0, 0x80, 0, 1, 0]), "the window of 64 bits");
    assert!(has(&[0, 7, 0, 0x1_0000]), "msi-map");
}

//! The NVMe controller, driven by a guest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use block::contract::{FaultyDisk, MemoryDisk};
use block::{Disk, Error, Geometry};
use devices::bus::MmioDevice;
use devices::nvme::{Nvme, Status, spec};
use devices::pci::spec as pci;
use parking_lot::{Condvar, Mutex};
use testkit::nvme::{Command, Driver, NvmeDisk, QueuePair, command, with};
use testkit::{Guest, PATIENCE};
use vm_memory::{Bytes, GuestAddress};

const SIZE: usize = 1 << 20;
const IDENTIFY: u8 = spec::admin::IDENTIFY;
const SET: u8 = spec::admin::SET_FEATURES;
const GET: u8 = spec::admin::GET_FEATURES;
const LOG: u8 = spec::admin::GET_LOG_PAGE;

testkit::controller_tests!(|disk| Box::new(NvmeDisk::new(disk)));

fn numbered() -> Vec<u8> {
    (0..SIZE).map(|at| (at / 512 + at) as u8).collect()
}

/// A controller of numbered bytes, enabled.
fn plug() -> (Arc<MemoryDisk>, Driver) {
    let disk = Arc::new(MemoryDisk::holding(numbered()));
    let mut driver = Driver::attach(&Guest::new(), &Nvme::new(disk.clone(), 3, Some("serial")));
    driver.enable(16);
    (disk, driver)
}

/// The same with a pair of I/O queues and a page for data.
fn with_io() -> (Arc<MemoryDisk>, Driver, QueuePair, u64) {
    let (disk, mut driver) = plug();
    let queue = driver.create(1, 16);
    let page = driver.guest().alloc(4096, 4096);
    (disk, driver, queue, page)
}

/// A command of the NVM command set for `count` blocks from `first`, with its data in one page.
fn io(opcode: u8, first: u64, count: u32, page: u64) -> Command {
    let mut io = with(command(opcode, 1), &[first as u32, (first >> 32) as u32, count - 1]);
    (io[6], io[7]) = (page as u32, (page >> 32) as u32);
    io
}

fn status(completion: testkit::nvme::Completion) -> Status {
    Status(completion.status)
}

#[test]
fn the_registers_say_what_the_controller_is() {
    let driver = Driver::attach(&Guest::new(), &Nvme::new(Arc::new(MemoryDisk::new(SIZE)), 3, None));
    let cap = u64::from(driver.get(4)) << 32 | u64::from(driver.get(0));
    // 1024 entries, contiguous, 30 s, doorbells side by side, NVM commands, pages of 4 KiB to 64 KiB.
    let fields =
        [(0, 16), (16, 1), (24, 8), (32, 4), (37, 8), (48, 4), (52, 4)].map(|(at, bits)| cap >> at & ((1 << bits) - 1));
    assert_eq!(fields, [1023, 1, 60, 0, 1, 0, 4]);
    assert_eq!((driver.get(8), driver.get(0x14), driver.get(0x1c)), (0x0001_0400, 0, 0));
    // Half a register at a time, and only what can be written.
    driver.guest().bus().write(driver.bar() + 0x29, &[0xab, 0xcd]);
    assert_eq!((driver.get(0x28), driver.get(0x2c)), (0x00cd_a000, 0));
    driver.set(0x24, u32::MAX);
    assert_eq!(driver.get(0x24), 0x0fff_0fff);
    driver.set(0, 0);
    assert_ne!(driver.get(0), 0);
}

#[test]
fn a_configuration_that_is_none_is_fatal_until_it_is_mended() {
    let mut driver = Driver::attach(&Guest::new(), &Nvme::new(Arc::new(MemoryDisk::new(SIZE)), 3, None));
    let ram = Guest::RAM + 0x10_0000;
    // AQA, ASQ, ACQ, CC.
    for (aqa, asq, acq, cc) in [
        (0, ram, ram, 1),
        (0x1f_0000, ram, ram, 1),
        (0x1f_001f, 0x1000, ram, 1),
        (0x1f_001f, ram, !0xfff, 1),
        (0x1f_007f, Guest::RAM + Guest::RAM_SIZE - 0x1000, ram, 1),
        (0x1f_001f, ram, ram, 1 | 5 << 7),
        (0x1f_001f, ram, ram, 1 | 6 << 4),
        (0x1f_001f, ram, ram, 1 | 1 << 11),
    ] {
        driver.set(0x24, aqa);
        driver.set64(0x28, asq);
        driver.set64(0x30, acq);
        driver.set(0x14, cc);
        driver.wait_status(0b11, 0b10);
        driver.set(0x1000, 1);
        driver.disable();
        driver.wait_status(0b11, 0);
    }
    driver.enable(2);
    driver.ask(command(IDENTIFY, 1));
}

#[test]
fn identify_names_the_controller_and_its_namespace() {
    let (_, mut driver) = plug();
    let controller = driver.ask(with(command(IDENTIFY, 0), &[1]));
    assert_eq!(controller[4..24], *b"serial              ");
    assert!(controller[24..64].starts_with(b"Russet"));
    let fields = [77, 111, 259, 512, 513, 516, 520, 525].map(|at| controller[at]);
    assert_eq!(fields, [8, 1, 3, 0x66, 0x44, 1, 0b1101, 7]);
    assert!(controller[768..].starts_with(b"nqn.2014-08.org.nvmexpress:uuid:"));

    let namespace = driver.ask(command(IDENTIFY, 1));
    let number = |at: usize| u64::from_le_bytes(namespace[at..at + 8].try_into().unwrap());
    assert_eq!([number(0), number(8), number(16)], [2048; 3]);
    assert_eq!((namespace[25], namespace[26], namespace[99], namespace[130]), (0, 0, 0, 9));
    // Best written and deallocated in pages.
    assert_eq!([64, 66, 68, 70, 72].map(|at| namespace[at]), [7; 5]);

    let list = driver.ask(with(command(IDENTIFY, 0), &[2]));
    assert_eq!((list[0], list[4]), (1, 0));
    assert_eq!(driver.ask(with(command(IDENTIFY, 1), &[2]))[0], 0);
    let descriptors = driver.ask(with(command(IDENTIFY, 1), &[3]));
    assert_eq!(descriptors[..2], [3, 16]);
    assert_eq!((descriptors[10] >> 4, descriptors[12] >> 6, &descriptors[20..24]), (8, 2, &[0; 4][..]));

    for (namespace, what, wanted) in [
        (0, 0, Status::INVALID_NAMESPACE),
        (2, 0, Status::INVALID_NAMESPACE),
        (u32::MAX, 0, Status::INVALID_NAMESPACE),
        (2, 3, Status::INVALID_NAMESPACE),
        (u32::MAX, 2, Status::INVALID_NAMESPACE),
        (0, 0x13, Status::INVALID_FIELD),
    ] {
        assert_eq!(status(driver.admin(with(command(IDENTIFY, namespace), &[what]))), wanted);
    }
}

#[test]
fn a_disk_of_large_blocks_has_large_blocks() {
    let geometry = Geometry { logical_block: 4096, physical_block: 4096, discard_granularity: 65536 };
    let disk = Arc::new(MemoryDisk::new(SIZE).with_geometry(geometry));
    let mut driver = Driver::attach(&Guest::new(), &Nvme::new(disk.clone(), 1, None));
    driver.enable(16);
    let namespace = driver.ask(command(IDENTIFY, 1));
    assert_eq!((namespace[0], namespace[1], namespace[130], namespace[64], namespace[68]), (0, 1, 12, 0, 15));
    let (mut queue, page) = (driver.create(1, 4), driver.guest().alloc_with(&[7; 4096]).next_multiple_of(4));
    assert_eq!(driver.request(&mut queue, &io(1, 255, 1, page & !0xfff)).status, 0);
    assert_eq!(status(driver.request(&mut queue, &io(1, 256, 1, page & !0xfff))), Status::OUT_OF_RANGE);
}

#[test]
fn features_are_kept_and_wrong_ones_refused() {
    let (_, mut driver) = plug();
    let set =
        |driver: &mut Driver, which: u32, value: u32| status(driver.admin(with(command(SET, 1), &[which, value])));
    let get = |driver: &mut Driver, which: u32, value: u32| driver.admin(with(command(GET, 1), &[which, value])).result;
    for (which, value, kept) in [
        (1, u32::MAX, 0xffff_ff07),
        (5, 9, 9),
        (6, 0, 0),
        (8, 0x0102, 0x0102),
        (10, 3, 1),
        (11, 0x1ff, 0x1ff),
        (2, 0, 0),
    ] {
        assert_eq!(set(&mut driver, which, value), Status::SUCCESS, "feature {which}");
        assert_eq!(get(&mut driver, which, 0), kept, "feature {which}");
    }
    assert_eq!((set(&mut driver, 9, 2 | 1 << 16), get(&mut driver, 9, 2)), (Status::SUCCESS, 2 | 1 << 16));
    assert_eq!((set(&mut driver, 4, 300 | 1 << 20), get(&mut driver, 4, 1 << 20)), (Status::SUCCESS, 300));
    assert_eq!(get(&mut driver, 4, 0), 343);
    // As many queues as there are, whatever is wanted.
    assert_eq!(driver.admin(with(command(SET, 0), &[7, 63 << 16 | 63])).result, 2 << 16 | 2);
    for (which, value, wanted) in [
        (0, 0, Status::INVALID_FIELD),
        (2, 1, Status::INVALID_FIELD),
        (4, 1 << 16, Status::INVALID_FIELD),
        (4, 2 << 20, Status::INVALID_FIELD),
        (5, 1 << 16, Status::INVALID_FIELD),
        (7, 0xffff, Status::INVALID_FIELD),
        (9, 4, Status::INVALID_FIELD),
        (0x7f, 0, Status::INVALID_FIELD),
        (1 | 1 << 31, 0, Status::NOT_SAVEABLE),
    ] {
        assert_eq!(set(&mut driver, which, value), wanted, "feature {which:#x} {value:#x}");
    }
    driver.create(1, 4);
    assert_eq!(set(&mut driver, 7, 0), Status::SEQUENCE);
    driver.disable();
    driver.enable(16);
    assert_eq!((get(&mut driver, 6, 0), get(&mut driver, 5, 0)), (1, 0), "a reset forgets");
}

#[test]
fn queues_are_made_and_deleted_by_the_rules() {
    let (_, mut driver) = plug();
    let at = driver.guest().alloc(0x1_0000, 4096);
    let mut make = |opcode: u8, size: u32, flags: u32, at: u64| {
        let mut create = with(command(opcode, 0), &[size, flags]);
        (create[6], create[7]) = (at as u32, (at >> 32) as u32);
        let mut admin = driver.admin.take().unwrap();
        let completion = driver.request(&mut admin, &create);
        driver.admin = Some(admin);
        status(completion)
    };
    let size = |entries: u32, id: u32| (entries - 1) << 16 | id;
    for (opcode, size, flags, at, wanted) in [
        (5, size(4, 0), 3, at, Status::QUEUE_ID),
        (5, size(4, 4), 3, at, Status::QUEUE_ID),
        (5, size(1, 1), 3, at, Status::QUEUE_SIZE),
        (5, size(1025, 1), 3, at, Status::QUEUE_SIZE),
        (5, size(4, 1), 2, at, Status::INVALID_FIELD),
        (5, size(4, 1), 4 << 16 | 3, at, Status::VECTOR),
        (5, size(4, 1), 3, at + 512, Status::PRP_OFFSET),
        (5, size(4, 1), 3, 0x1000, Status::INVALID_FIELD),
        (1, size(4, 1), 1 << 16 | 1, at, Status::CQ_INVALID),
        (1, size(4, 1), 1, at, Status::CQ_INVALID),
        (1, size(4, 1), 9 << 16 | 1, at, Status::QUEUE_ID),
        (5, size(4, 1), 1 << 16 | 3, at, Status::SUCCESS),
        (5, size(4, 1), 1 << 16 | 3, at, Status::QUEUE_ID),
        // Two submission queues may share a completion queue.
        (1, size(4, 1), 1 << 16 | 1, at, Status::SUCCESS),
        (1, size(4, 1), 1 << 16 | 1, at, Status::QUEUE_ID),
        (1, size(4, 2), 1 << 16 | 1, at, Status::SUCCESS),
        (4, 1, 0, 0, Status::QUEUE_DELETION),
        (0, 0, 0, 0, Status::QUEUE_ID),
        (0, 3, 0, 0, Status::QUEUE_ID),
        (0, 1, 0, 0, Status::SUCCESS),
        (0, 1, 0, 0, Status::QUEUE_ID),
        (4, 1, 0, 0, Status::QUEUE_DELETION),
        (0, 2, 0, 0, Status::SUCCESS),
        (4, 1, 0, 0, Status::SUCCESS),
        (4, 1, 0, 0, Status::QUEUE_ID),
        (0x7f, 0, 0, 0, Status::INVALID_OPCODE),
    ] {
        assert_eq!(make(opcode, size, flags, at), wanted, "opcode {opcode} {size:#x} {flags:#x} {at:#x}");
    }
}

#[test]
fn a_command_that_is_wrong_changes_nothing_and_says_why() {
    let (disk, driver, mut queue, page) = with_io();
    let bad = |change: fn(&mut Command)| {
        let mut command = io(1, 0, 1, page);
        change(&mut command);
        command
    };
    for (command, wanted) in [
        (io(0x7f, 0, 1, page), Status::INVALID_OPCODE),
        (bad(|c| c[1] = 2), Status::INVALID_NAMESPACE),
        (bad(|c| c[1] = u32::MAX), Status::INVALID_NAMESPACE),
        (bad(|c| c[0] |= 1 << 8), Status::INVALID_FIELD),
        (bad(|c| c[0] |= 1 << 14), Status::INVALID_FIELD),
        (bad(|c| c[6] |= 2), Status::PRP_OFFSET),
        (bad(|c| (c[6], c[7]) = (0x1000, 0)), Status::DATA_TRANSFER),
        (bad(|c| (c[6], c[7]) = (!3, !0)), Status::DATA_TRANSFER),
        // Two pages, of which the second begins where none does.
        (bad(|c| (c[8], c[12]) = (0x200, 15)), Status::PRP_OFFSET),
        // A list that is nowhere, and one at no dword of its own.
        (bad(|c| (c[8], c[9], c[12]) = (0x1000, 0, 31)), Status::DATA_TRANSFER),
        (bad(|c| (c[8], c[12]) = (4, 31)), Status::PRP_OFFSET),
        (bad(|c| c[12] = 0xffff), Status::OUT_OF_RANGE),
    ] {
        assert_eq!(status(driver.request(&mut queue, &command)), wanted, "{command:x?}");
    }
    assert!(disk.contents() == numbered());
    assert_eq!(driver.request(&mut queue, &io(1, 3, 1, page)).status, 0);
    assert_eq!(disk.contents()[1536..2048], [0; 512]);
}

#[test]
fn more_than_the_largest_transfer_is_refused() {
    let disk = Arc::new(MemoryDisk::new(4 << 20));
    let mut driver = Driver::attach(&Guest::new(), &Nvme::new(disk, 1, None));
    driver.enable(16);
    let (mut queue, page) = (driver.create(1, 4), driver.guest().alloc(4096, 4096));
    assert_eq!(status(driver.request(&mut queue, &io(1, 0, 2049, page))), Status::INVALID_FIELD);
    // What moves no data may be larger.
    assert_eq!(driver.request(&mut queue, &io(8, 0, 8192, 0)).status, 0);
}

#[test]
fn compare_tells_whether_the_disk_holds_the_data() {
    let (_, driver, mut queue, page) = with_io();
    driver.guest().memory().write_slice(&numbered()[512..2048], GuestAddress(page)).unwrap();
    assert_eq!(driver.request(&mut queue, &io(5, 1, 3, page)).status, 0);
    assert_eq!(status(driver.request(&mut queue, &io(5, 2, 3, page))), Status::COMPARE_FAILURE);
}

#[test]
fn deallocation_looks_at_all_ranges_before_it_does_one() {
    let (disk, driver, mut queue, page) = with_io();
    let ranges = |all: &[(u32, u64)]| {
        let bytes: Vec<u8> = all
            .iter()
            .flat_map(|(count, first)| [&[0; 4], &count.to_le_bytes()[..], &first.to_le_bytes()].concat())
            .collect();
        driver.guest().memory().write_slice(&bytes, GuestAddress(page)).unwrap();
        let mut manage = with(command(9, 1), &[all.len() as u32 - 1, 1 << 2]);
        (manage[6], manage[7]) = (page as u32, (page >> 32) as u32);
        manage
    };
    for wrong in [(1, 2048), (2049, 0), (1, u64::MAX), (u32::MAX, 0)] {
        assert_eq!(status(driver.request(&mut queue, &ranges(&[(1, 0), wrong]))), Status::OUT_OF_RANGE);
    }
    assert!(disk.contents() == numbered());
    let mut hint = ranges(&[(8, 0)]);
    hint[11] = 0b11;
    assert_eq!(driver.request(&mut queue, &hint).status, 0);
    assert!(disk.contents() == numbered(), "hints change nothing");
    assert_eq!(driver.request(&mut queue, &ranges(&[(8, 0), (0, 5), (1, 16)])).status, 0);
    let mut wanted = numbered();
    wanted[..4096].fill(0xdb);
    wanted[8192..8704].fill(0xdb);
    assert!(disk.contents() == wanted);
}

#[test]
fn what_is_forced_or_uncached_is_durable_when_it_completes() {
    let (disk, mut driver, mut queue, page) = with_io();
    let forced = |opcode, first| with(io(opcode, first, 1, page), &[first as u32, 0, 1 << 30]);
    assert_eq!(driver.request(&mut queue, &forced(1, 0)).status, 0);
    assert_eq!(driver.request(&mut queue, &forced(8, 1)).status, 0);
    disk.lose_power();
    assert_eq!(disk.contents()[..1024], [0; 1024]);
    // The guest switches the cache off, which flushes it.
    driver.request(&mut queue, &io(1, 2, 1, page));
    assert_eq!(driver.admin(with(command(SET, 0), &[6, 0])).status, 0);
    disk.lose_power();
    assert_eq!(disk.contents()[1024..1536], [0; 512]);
    driver.request(&mut queue, &io(1, 3, 1, page));
    driver.request(&mut queue, &io(8, 4, 1, 0));
    disk.lose_power();
    assert_eq!(disk.contents()[1536..2560], [0; 1024]);
    // A forced read finds on the medium what it reads.
    driver.admin(with(command(SET, 0), &[6, 1]));
    driver.request(&mut queue, &io(1, 5, 1, page));
    driver.request(&mut queue, &forced(2, 5));
    disk.lose_power();
    assert_eq!(disk.contents()[2560..3072], [0; 512]);
}

#[test]
fn a_forced_write_of_many_parts_flushes_once() {
    let (disk, driver, mut queue, _) = with_io();
    let (guest, pages) = (driver.guest().clone(), SIZE as u64 / 4096);
    let (data, list) = (guest.alloc(SIZE as u64, 4096), guest.alloc(4096, 4096));
    for n in 1..pages {
        guest.memory().write_obj(data + n * 4096, GuestAddress(list + (n - 1) * 8)).unwrap();
    }
    let mut forced = with(io(1, 0, SIZE as u32 / 512, data), &[0, 0, (SIZE as u32 / 512 - 1) | 1 << 30]);
    (forced[8], forced[9]) = (list as u32, (list >> 32) as u32);
    let before = disk.flushes();
    assert_eq!(driver.request(&mut queue, &forced).status, 0);
    assert_eq!(disk.flushes(), before + 1);
    disk.lose_power();
    assert!(disk.contents() == [0; SIZE], "not all of it is durable");
}

#[test]
fn a_shutdown_flushes() {
    let (disk, driver, mut queue, page) = with_io();
    driver.request(&mut queue, &io(1, 0, 1, page));
    driver.set(0x14, driver.get(0x14) | 1 << 14);
    driver.wait_status(0b1100, 0b1000);
    disk.lose_power();
    assert_eq!(disk.contents()[..512], [0; 512]);
    driver.set(0x14, 0);
    driver.wait_status(0b1111, 0);
}

#[test]
fn a_reset_waits_for_what_is_on_its_way_and_forgets_the_rest() {
    let (disk, mut driver, mut queue, page) = with_io();
    for round in 0..20 {
        for first in 0..10 {
            driver.send(&mut queue, &io(1, first, 1, page));
        }
        driver.disable();
        let contents = disk.contents();
        std::thread::sleep(Duration::from_millis(1));
        assert!(disk.contents() == contents, "round {round}: it still writes");
        driver.set(0x1008, 3);
        driver.enable(16);
        queue = driver.create(1, 16);
        assert_eq!(driver.request(&mut queue, &io(2, 0, 1, page)).status, 0);
    }
}

#[test]
fn it_goes_on_after_a_pause() {
    let (_, mut driver, mut queue, page) = with_io();
    for _ in 0..20 {
        let before = driver.send(&mut queue, &io(2, 0, 1, page));
        driver.controller().stop();
        let during = driver.send(&mut queue, &io(2, 1, 1, page));
        driver.controller().start();
        let mut ids = [driver.wait(&mut queue).id, driver.wait(&mut queue).id];
        ids.sort_unstable();
        assert_eq!(ids, [before, during]);
        driver.ask(command(IDENTIFY, 1));
    }
    // The machine's reset.
    driver.guest().bridge().reset();
    assert_eq!(driver.guest().read::<1>(driver.guest().config(driver.devfn(), 4)), [0]);
}

/// Registers need no memory: a driver may let go of a controller in any order.
#[test]
fn a_controller_that_may_not_reach_memory_waits_and_can_be_shut_down_and_disabled() {
    let (disk, mut driver, mut queue, page) = with_io();
    let set_master = |driver: &Driver, enabled: bool| {
        let command = pci::COMMAND_MEMORY | if enabled { pci::COMMAND_MASTER } else { 0 };
        driver.guest().bus().write(driver.guest().config(driver.devfn(), pci::COMMAND), &command.to_le_bytes());
    };
    set_master(&driver, false);
    driver.send(&mut queue, &io(1, 0, 1, page));
    driver.controller().stop();
    driver.controller().start();
    std::thread::sleep(Duration::from_millis(20));
    assert!(disk.contents() == numbered(), "it has reached memory");
    set_master(&driver, true);
    assert_eq!(driver.wait(&mut queue).status, 0);
    assert_eq!(disk.contents()[..512], [0; 512]);

    set_master(&driver, false);
    driver.set(0x14, driver.get(0x14) | 1 << 14);
    driver.wait_status(0b1100, 0b1000);
    disk.lose_power();
    assert_eq!(disk.contents()[..512], [0; 512]);
    driver.set(0x14, 0);
    driver.wait_status(0b1111, 0);
    set_master(&driver, true);
    driver.enable(16);
    driver.ask(command(IDENTIFY, 1));
}

/// A disk on which a read ends when there are two.
struct Meeting {
    disk: MemoryDisk,
    reads: Mutex<u32>,
    met: Condvar,
}

impl Disk for Meeting {
    fn size(&self) -> u64 {
        self.disk.size()
    }
    fn geometry(&self) -> Geometry {
        self.disk.geometry()
    }
    fn read_only(&self) -> bool {
        true
    }
    fn id(&self) -> &'static str {
        "meeting"
    }
    fn read(&self, offset: u64, bufs: &mut [std::io::IoSliceMut<'_>]) -> Result<(), Error> {
        let mut reads = self.reads.lock();
        *reads += 1;
        self.met.notify_all();
        if self.met.wait_while_for(&mut reads, |reads| *reads < 2, PATIENCE).timed_out() {
            return Err(Error::Cancelled);
        }
        self.disk.read(offset, bufs)
    }
    fn write(&self, _: u64, _: &[std::io::IoSlice<'_>]) -> Result<(), Error> {
        Err(Error::ReadOnly)
    }
    fn flush(&self) -> Result<(), Error> {
        Ok(())
    }
    fn discard(&self, _: u64, _: u64) -> Result<(), Error> {
        Err(Error::ReadOnly)
    }
    fn write_zeroes(&self, _: u64, _: u64, _: bool) -> Result<(), Error> {
        Err(Error::ReadOnly)
    }
}

#[test]
fn queues_that_have_waited_for_memory_go_on_at_the_same_time() {
    let disk = Meeting { disk: MemoryDisk::new(SIZE), reads: Mutex::default(), met: Condvar::new() };
    let mut driver = Driver::attach(&Guest::new(), &Nvme::new(Arc::new(disk), 2, None));
    driver.enable(16);
    let mut queues = [driver.create(1, 8), driver.create(2, 8)];
    let page = driver.guest().alloc(4096, 4096);
    let register = driver.guest().config(driver.devfn(), pci::COMMAND);
    driver.guest().bus().write(register, &pci::COMMAND_MEMORY.to_le_bytes());
    for queue in &mut queues {
        driver.send(queue, &io(2, 0, 1, page));
    }
    // The threads have found that they may not.
    std::thread::sleep(Duration::from_millis(20));
    driver.guest().bus().write(register, &(pci::COMMAND_MEMORY | pci::COMMAND_MASTER).to_le_bytes());
    for queue in &mut queues {
        assert_eq!(driver.wait(queue).status, 0);
    }
}

/// A CPU may have found the registers just before the function was reset, as it is when its card is pulled.
#[test]
fn what_is_written_late_to_a_controller_that_was_reset_reaches_neither_memory_nor_disk() {
    let (disk, driver, mut queue, page) = with_io();
    let (guest, controller) = (driver.guest().clone(), driver.controller().clone());
    let (asq, acq) = (guest.alloc(4096, 4096), guest.alloc(4096, 4096));
    queue.put(&guest, &io(1, 0, 1, page));
    guest.bridge().reset();
    let late = |register: u64, value: u32| controller.write(register, &value.to_le_bytes());
    late(0x24, 15 << 16 | 15);
    late(0x28, asq as u32);
    late(0x30, acq as u32);
    late(0x14, 4 << 20 | 6 << 16 | 1);
    let csts = || {
        let mut csts = [0; 4];
        controller.read(0x1c, &mut csts);
        csts[0]
    };
    let end = Instant::now() + PATIENCE;
    while csts() & 1 == 0 && Instant::now() < end {
        std::thread::yield_now();
    }
    assert_eq!(csts(), 1, "registers need no memory");
    guest.memory().write_slice(&command(IDENTIFY, 1).map(u32::to_le_bytes).concat(), GuestAddress(asq)).unwrap();
    late(0x1000, 1);
    late(0x1008, 1);
    // Its threads end with it, and have done nothing till then.
    let weak = Arc::downgrade(&controller);
    let memory = guest.memory().clone();
    drop((controller, driver, guest));
    assert!(weak.upgrade().is_none());
    assert_eq!(memory.read_obj::<u128>(GuestAddress(acq)).unwrap(), 0);
    assert!(disk.contents() == numbered());
}

#[test]
fn a_completion_queue_that_is_full_holds_commands_back() {
    let (_, driver, _, page) = with_io();
    let mut driver = driver;
    let guest = driver.guest().clone();
    let mut queue = driver.create(2, 4);
    let ids: Vec<_> = (0..3).map(|first| driver.send(&mut queue, &io(2, first, 1, page))).collect();
    let mut done = Vec::new();
    let end = std::time::Instant::now() + PATIENCE;
    while done.len() < 3 {
        assert!(std::time::Instant::now() < end);
        done.extend(queue.take(&guest).map(|completion| completion.id));
    }
    // Three places of four are taken, as long as the doorbell is not rung.
    let late = driver.send(&mut queue, &io(2, 3, 1, page));
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(queue.take(&guest), None);
    driver.set(0x1000 + 8 * 2 + 4, 1);
    assert_eq!(driver.wait(&mut queue).id, late);
    done.sort_unstable();
    assert_eq!(done, ids);
}

/// What the guest asked to be told, by its identifier.
fn ask_for_event(driver: &mut Driver) -> u16 {
    let mut admin = driver.admin.take().unwrap();
    let id = driver.send(&mut admin, &command(spec::admin::ASYNC_EVENT, 0));
    driver.admin = Some(admin);
    id
}

fn event(driver: &mut Driver, patience: Duration) -> Option<(u16, Status, u32)> {
    let mut admin = driver.admin.take().unwrap();
    let completion = driver.try_wait(&mut admin, patience);
    driver.admin = Some(admin);
    completion.map(|completion| (completion.id, status(completion), completion.result))
}

#[test]
fn the_guest_hears_of_another_size() {
    let (disk, mut driver, mut queue, page) = with_io();
    let id = ask_for_event(&mut driver);
    disk.resize(SIZE as u64 / 2).unwrap();
    assert_eq!(event(&mut driver, Duration::from_millis(50)), None, "it did not ask for this type");
    driver.admin(with(command(SET, 0), &[11, 1 << 8]));
    disk.resize(SIZE as u64 * 2).unwrap();
    assert_eq!(event(&mut driver, PATIENCE), Some((id, Status::SUCCESS, 4 << 16 | 2)));
    // One is told; another only after the list was read, without retaining.
    let id = ask_for_event(&mut driver);
    disk.resize(SIZE as u64).unwrap();
    assert_eq!(driver.ask(with(command(LOG, 0), &[4 | 1 << 15 | 1023 << 16]))[..8], [1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(event(&mut driver, Duration::from_millis(50)), None);
    assert_eq!(driver.ask(with(command(LOG, 0), &[4 | 1023 << 16]))[0], 1);
    assert_eq!(event(&mut driver, PATIENCE), Some((id, Status::SUCCESS, 4 << 16 | 2)));
    driver.ask(with(command(LOG, 0), &[4 | 1023 << 16]));
    assert_eq!(driver.ask(with(command(LOG, 0), &[4 | 1023 << 16]))[0], 0);
    assert_eq!(driver.ask(command(IDENTIFY, 1))[..3], [0, 8, 0]);
    assert_eq!(status(driver.request(&mut queue, &io(2, 2048, 1, page))), Status::OUT_OF_RANGE);
}

#[test]
fn a_doorbell_that_is_none_is_an_event() {
    let (_, mut driver, _, _) = with_io();
    for (doorbell, value, information) in [
        (0x1000 + 8 * 3, 0, 0),
        (0x1000 + 8 * 3 + 4, 0, 0),
        (0x1000 + 8 * 4, 0, 0),
        (0x3ffc, 0, 0),
        (0x1000 + 8, 16, 1),
        (0x1000 + 8, u32::MAX, 1),
        (0x1000 + 8 + 4, 1, 1),
        (0x1000 + 8 + 4, 16, 1),
    ] {
        let id = ask_for_event(&mut driver);
        driver.set(doorbell, value);
        let wanted = (id, Status::SUCCESS, 1 << 16 | information << 8);
        assert_eq!(event(&mut driver, PATIENCE), Some(wanted), "doorbell {doorbell:#x} {value}");
        driver.ask(with(command(LOG, 0), &[1 | 15 << 16]));
    }
}

#[test]
fn requests_for_events_are_limited_and_can_be_aborted() {
    let (_, mut driver) = plug();
    let ids: Vec<_> = (0..4).map(|_| ask_for_event(&mut driver)).collect();
    let fifth = ask_for_event(&mut driver);
    assert_eq!(event(&mut driver, PATIENCE), Some((fifth, Status::EVENT_LIMIT, 0)));
    let abort = |id: u16| with(command(8, 0), &[u32::from(id) << 16]);
    let mut admin = driver.admin.take().unwrap();
    let id = driver.send(&mut admin, &abort(ids[2]));
    let both = [driver.wait(&mut admin), driver.wait(&mut admin)];
    assert_eq!(
        both.map(|c| (c.id, status(c), c.result)),
        [(ids[2], Status::ABORT_REQUESTED, 0), (id, Status::SUCCESS, 0)]
    );
    assert_eq!(driver.request(&mut admin, &abort(ids[2])).result, 1, "it is gone already");
    assert_eq!(driver.request(&mut admin, &with(command(8, 0), &[7 << 16 | 1])).result, 1);
    driver.admin = Some(admin);
    driver.ask(command(IDENTIFY, 1));
}

#[test]
fn the_guest_hears_of_warnings_that_it_asked_for() {
    let (_, mut driver) = plug();
    let smart = |driver: &mut Driver| driver.ask(with(command(LOG, u32::MAX), &[2 | 127 << 16]));
    let id = ask_for_event(&mut driver);
    // Warm from 290 K on: it is 295.
    driver.admin(with(command(SET, 0), &[4, 290]));
    assert_eq!((smart(&mut driver)[0], event(&mut driver, Duration::from_millis(50))), (2, None), "it did not ask");
    driver.admin(with(command(SET, 0), &[11, 2]));
    let warm = (Status::SUCCESS, 2 << 16 | 1 << 8 | 1);
    assert_eq!(event(&mut driver, PATIENCE), Some((id, warm.0, warm.1)));
    // Told once, until it was cool.
    assert_eq!(smart(&mut driver)[0], 2);
    let id = ask_for_event(&mut driver);
    driver.admin(with(command(SET, 0), &[4, 291]));
    assert_eq!(event(&mut driver, Duration::from_millis(50)), None);
    driver.admin(with(command(SET, 0), &[4, 343]));
    assert_eq!(smart(&mut driver)[0], 0);
    // Too cold.
    driver.admin(with(command(SET, 0), &[4, 1 << 20 | 300]));
    assert_eq!(event(&mut driver, PATIENCE), Some((id, warm.0, warm.1)));
}

/// A file whose flush has failed is one that nobody can rely on.
#[test]
fn a_disk_that_cannot_flush_for_good_is_a_warning() {
    struct Lost(MemoryDisk);
    impl Disk for Lost {
        fn size(&self) -> u64 {
            self.0.size()
        }
        fn geometry(&self) -> Geometry {
            self.0.geometry()
        }
        fn read_only(&self) -> bool {
            false
        }
        fn id(&self) -> &'static str {
            "lost"
        }
        fn read(&self, offset: u64, bufs: &mut [std::io::IoSliceMut<'_>]) -> Result<(), Error> {
            self.0.read(offset, bufs)
        }
        fn write(&self, offset: u64, bufs: &[std::io::IoSlice<'_>]) -> Result<(), Error> {
            self.0.write(offset, bufs)
        }
        fn flush(&self) -> Result<(), Error> {
            Err(Error::FlushFailed)
        }
        fn discard(&self, _: u64, _: u64) -> Result<(), Error> {
            Ok(())
        }
        fn write_zeroes(&self, offset: u64, len: u64, unmap: bool) -> Result<(), Error> {
            self.0.write_zeroes(offset, len, unmap)
        }
    }
    let mut driver = Driver::attach(&Guest::new(), &Nvme::new(Arc::new(Lost(MemoryDisk::new(SIZE))), 3, None));
    driver.enable(16);
    let mut queue = driver.create(1, 16);
    driver.admin(with(command(SET, 0), &[11, 4]));
    let id = ask_for_event(&mut driver);
    assert_eq!(status(driver.request(&mut queue, &command(spec::nvm::FLUSH, 1))), Status::WRITE_FAULT);
    assert_eq!(event(&mut driver, PATIENCE), Some((id, Status::SUCCESS, 2 << 16 | 1)));
    let smart = driver.ask(with(command(LOG, u32::MAX), &[2 | 127 << 16]));
    assert_eq!((smart[0], smart[160]), (4, 1));
}

#[test]
fn a_full_host_is_no_fault_of_the_medium() {
    let disk = Arc::new(FaultyDisk::new(Arc::new(MemoryDisk::holding(numbered())), 1));
    let mut driver = Driver::attach(&Guest::new(), &Nvme::new(disk.clone(), 3, None));
    driver.enable(16);
    let mut queue = driver.create(1, 16);
    let page = driver.guest().alloc(4096, 4096);
    disk.leave_space(Some(0));
    assert_eq!(status(driver.request(&mut queue, &io(1, 0, 8, page))), Status::CAPACITY);
    disk.leave_space(None);
    assert_eq!(status(driver.request(&mut queue, &io(1, 0, 8, page))), Status::SUCCESS);
}

#[test]
fn the_logs_count_what_was_done() {
    let (disk, mut driver, mut queue, page) = with_io();
    for _ in 0..3 {
        driver.request(&mut queue, &io(2, 0, 8, page));
    }
    driver.request(&mut queue, &io(1, 0, 8, page));
    // A Compare reads, too.
    driver.request(&mut queue, &io(5, 0, 8, page));
    disk.set_failing(true);
    assert_eq!(status(driver.request(&mut queue, &io(2, 0, 1, page))), Status::READ_ERROR);
    assert_eq!(status(driver.request(&mut queue, &io(1, 0, 1, page))), Status::WRITE_FAULT);
    disk.set_failing(false);
    let smart = driver.ask(with(command(LOG, u32::MAX), &[2 | 127 << 16]));
    // Critical warning; data units read and written, commands, media errors, entries of the log.
    assert_eq!([0, 32, 48, 64, 80, 160, 176].map(|at| smart[at]), [0, 1, 1, 4, 1, 2, 2]);
    assert_eq!(smart[3], 100);
    let errors = driver.ask(with(command(LOG, 0), &[1 | 255 << 16]));
    assert_eq!((errors[0], errors[8], errors[24], errors[64]), (2, 1, 1, 1));
    assert_eq!(u16::from_le_bytes([errors[12], errors[13]]) >> 1 & 0x7ff, Status::WRITE_FAULT.0);
    // From an offset on, which is in dwords 12 and 13.
    let firmware = driver.ask(with(command(LOG, 0), &[3 | 3 << 16, 0, 8, 0]));
    assert_eq!(firmware[..8], *format!("{:8}", env!("CARGO_PKG_VERSION")).as_bytes());
    for (dwords, wanted) in [
        ([0x7f, 0, 0, 0], Status::LOG_PAGE),
        ([2, 0, 2, 0], Status::INVALID_FIELD),
        ([2, 0, 516, 0], Status::INVALID_FIELD),
        ([2, 0, 0, 1], Status::INVALID_FIELD),
        ([2 | 0xffff << 16, 0xffff, 0, 0], Status::INVALID_FIELD),
    ] {
        assert_eq!(status(driver.admin(with(command(LOG, 0), &dwords))), wanted, "{dwords:x?}");
    }
}

#[test]
fn odd_accesses_to_registers_are_borne() {
    let (_, mut driver, _, _) = with_io();
    let guest = driver.guest().clone();
    for at in (0..0x60).chain(0xff8..0x1040).chain(0x3ff0..0x4000) {
        for len in [1, 2, 4, 8] {
            let mut data = [0; 8];
            guest.bus().read(driver.bar() + at, &mut data[..len]);
            guest.bus().write(driver.bar() + at, &data[..len]);
        }
    }
    driver.disable();
    driver.enable(16);
    driver.ask(command(IDENTIFY, 1));
}

//! The block device, driven by a guest.

use std::collections::BTreeSet;
use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use block::contract::{self as disks, MemoryDisk};
use block::{Disk, Error, Geometry};
use devices::virtio::block::Block;
use devices::virtio::block::spec::{Status, feature, request};
use devices::virtio::spec::feature as common;
use parking_lot::{Condvar, Mutex};
use testkit::contract::Subject;
use testkit::disk::{BlockDriver, Bytes, Ended, Failed, Request};
use testkit::{Driver, Guest, PATIENCE};

const OK: u8 = Status::Ok as u8;
const IOERR: u8 = Status::IoErr as u8;
const UNSUPP: u8 = Status::Unsupp as u8;
const SIZE: usize = 1 << 20;

testkit::controller_tests!(|disk| Box::new(VirtioDisk::new(disk, feature::FLUSH)));

testkit::contract_tests!(Subject {
    device: Arc::new(Block::new(Arc::new(MemoryDisk::new(SIZE)), 2, None)),
    queue: 0,
    read: vec![header(request::FLUSH, 0)],
    write: vec![1],
});

fn header(kind: u32, sector: u64) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &[0; 4], &sector.to_le_bytes()].concat()
}

fn segment(sector: u64, count: u32, flags: u32) -> Vec<u8> {
    [&sector.to_le_bytes()[..], &count.to_le_bytes(), &flags.to_le_bytes()].concat()
}

fn numbered() -> Vec<u8> {
    (0..SIZE).map(|i| (i / 512 + i) as u8).collect()
}

/// A disk of numbered bytes behind a driver that negotiated `features`.
fn plug(features: u64) -> (Arc<MemoryDisk>, Driver) {
    let disk = Arc::new(MemoryDisk::holding(numbered()));
    let mut driver = Guest::new().plug(Arc::new(Block::new(disk.clone(), 1, Some("serial"))));
    driver.init(features);
    (disk, driver)
}

/// A request with data for the device; its status.
fn send(driver: &mut Driver, kind: u32, sector: u64, data: &[u8]) -> u8 {
    let used = driver.request(0, &[&header(kind, sector), data], &[1]);
    assert_eq!(used.written, 1);
    used.data[0]
}

/// A request with room for data; what came and its status.
fn ask(driver: &mut Driver, kind: u32, sector: u64, len: u32) -> (Vec<u8>, u8) {
    let mut used = driver.request(0, &[&header(kind, sector)], &[len, 1]);
    let status = used.data.pop().unwrap();
    // What is not all there from the beginning does not count.
    assert_eq!(used.written, if status == OK { len + 1 } else { 0 });
    (used.data, status)
}

/// The driver's side as a disk in blocks, for the rules of all controllers.
struct VirtioDisk {
    driver: Driver,
    /// How many writable bytes follow each request that is on its way, besides its status.
    flying: usize,
}

impl VirtioDisk {
    fn new(disk: Arc<dyn Disk>, features: u64) -> Self {
        let mut driver = Guest::new().plug(Arc::new(Block::new(disk, 1, None)));
        let changes = feature::RO | feature::DISCARD | feature::WRITE_ZEROES;
        driver.init(features | driver.offered() & changes);
        Self { driver, flying: 0 }
    }
}

impl BlockDriver for VirtioDisk {
    fn block(&self) -> u64 {
        u32::from_le_bytes(self.driver.read_config(20)).into()
    }
    fn blocks(&self) -> u64 {
        u64::from_le_bytes(self.driver.read_config(0)) * 512 / self.block()
    }
    fn read_only(&self) -> bool {
        self.driver.features() & feature::RO != 0
    }
    fn depth(&self) -> usize {
        64
    }
    fn longest(&self) -> u64 {
        2048
    }
    fn can(&self, _: &Request) -> bool {
        true
    }
    fn submit(&mut self, asked: &Request) -> u64 {
        let request = |kind, sector: u64| header(kind, sector);
        let (head, data, room) = match asked {
            Request::Read { first, count } => (request(request::IN, *first), vec![], count.wrapping_mul(512) as u32),
            Request::Write { first, data } => (request(request::OUT, *first), data.clone(), 0),
            Request::Zeroes { first, count, unmap } => {
                (request(request::WRITE_ZEROES, 0), segment(*first, *count as u32, (*unmap).into()), 0)
            }
            Request::Discard { first, count } => (request(request::DISCARD, 0), segment(*first, *count as u32, 0), 0),
            Request::Flush => (request(request::FLUSH, 0), vec![], 0),
        };
        let read: Vec<&[u8]> = [&head[..], &data].into_iter().filter(|part| !part.is_empty()).collect();
        let write: Vec<u32> = [room, 1].into_iter().filter(|len| *len > 0).collect();
        self.flying += 1;
        let head = self.driver.add(0, &read, &write);
        self.driver.kick(0);
        head.into()
    }
    fn wait(&mut self) -> (u64, Ended) {
        assert!(self.flying > 0);
        self.flying -= 1;
        let mut used = self.driver.wait(0);
        let status = used.data.pop().unwrap();
        (used.head.into(), if status == OK { Ok(used.data) } else { Err(Failed) })
    }
}

#[test]
fn random_requests_match_the_model_whatever_was_negotiated() {
    for (seed, features) in [(1, 0), (2, common::COMMON), (3, feature::FLUSH | common::RING_INDIRECT_DESC)] {
        let disk = Arc::new(MemoryDisk::new(SIZE));
        disks::operations(&Bytes::new(Box::new(VirtioDisk::new(disk, features & !common::VERSION_1))), seed, 250);
    }
}

#[test]
fn the_driver_hears_of_another_size() {
    let (disk, mut driver) = plug(feature::FLUSH);
    let generation = |driver: &Driver| driver.guest().read::<1>(driver.common() + 0x15)[0];
    let (before, seen) = (generation(&driver), driver.interrupt_count(driver.config_vector()));
    disk.resize(SIZE as u64 + 4096).unwrap();
    driver.wait_config(seen);
    assert_eq!(u64::from_le_bytes(driver.read_config(0)), (SIZE as u64 + 4096) / 512);
    assert_ne!(generation(&driver), before);
    assert_eq!(ask(&mut driver, request::IN, SIZE as u64 / 512, 4096), (vec![0; 4096], OK));
    // Nobody is there to be told.
    driver.reset();
    disk.resize(SIZE as u64).unwrap();
    driver.init(0);
    assert_eq!(u64::from_le_bytes(driver.read_config(0)), SIZE as u64 / 512);
}

#[test]
fn the_configuration_describes_the_disk() {
    let geometry = Geometry { logical_block: 512, physical_block: 4096, discard_granularity: 65536 };
    let disk = MemoryDisk::new(SIZE + 100).with_geometry(geometry);
    let driver = Guest::new().plug(Arc::new(Block::new(Arc::new(disk), 4, None)));
    let field = |at: u64, bytes: usize| {
        let mut all = [0; 8];
        driver.guest().bus().read(driver.device_config() + at, &mut all[..bytes]);
        u64::from_le_bytes(all)
    };
    let seen = [(0, 4), (12, 4), (20, 4), (24, 1), (26, 2), (34, 2), (44, 4), (56, 1)].map(|(at, n)| field(at, n));
    assert_eq!(seen, [2048, 254, 512, 3, 8, 4, 128, 1]);
    assert_eq!(driver.offered() & feature::MQ, feature::MQ);
    assert_eq!(driver.queues(), 4);
}

#[test]
fn the_buffers_of_a_request_may_be_cut_anywhere() {
    let (disk, mut driver) = plug(common::RING_INDIRECT_DESC);
    let sent: Vec<u8> = [header(request::OUT, 3), vec![0x77; 1024]].concat();
    let bytes: Vec<&[u8]> = sent.chunks(7).collect();
    assert_eq!(driver.request(0, &bytes, &[1]).data, [OK]);
    assert_eq!(disk.contents()[1536..2560], [0x77; 1024]);
    // Data and status in one buffer, the header in two.
    let (a, b) = (header(request::IN, 5), numbered()[5 * 512..6 * 512].to_vec());
    let used = driver.request(0, &[&a[..1], &a[1..]], &[3, 510]);
    assert_eq!((used.data, used.written), ([b, vec![OK]].concat(), 513));
}

#[test]
fn requests_that_are_wrong_change_nothing_and_say_so() {
    let (disk, mut driver) = plug(0);
    let last = SIZE as u64 / 512;
    let cases: [(u32, u64, Vec<u8>, u8); 18] = [
        (request::OUT, last, vec![1; 512], IOERR),
        (request::OUT, last - 1, vec![1; 1024], IOERR),
        (request::OUT, last - 1000, vec![1; 1001 * 512], IOERR),
        (request::OUT, u64::MAX, vec![1; 512], IOERR),
        (request::OUT, u64::MAX / 512 + 1, vec![1; 512], IOERR),
        (request::OUT, 0, vec![1; 511], IOERR),
        (request::DISCARD, 0, segment(last, 1, 0), IOERR),
        (request::DISCARD, 0, segment(u64::MAX, 1, 0), IOERR),
        (request::DISCARD, 0, segment(0, u32::MAX, 0), IOERR),
        (request::DISCARD, 0, segment(0, 1, 1), UNSUPP),
        (request::DISCARD, 0, [segment(0, 1, 0), segment(0, 1, 2)].concat(), UNSUPP),
        (request::DISCARD, 0, segment(0, 1, 0)[..15].to_vec(), IOERR),
        (request::DISCARD, 0, segment(0, 1, 0).repeat(33), IOERR),
        (request::WRITE_ZEROES, 0, segment(0, 1, 2), UNSUPP),
        (request::WRITE_ZEROES, 0, segment(last - 1, 2, 0), IOERR),
        (request::WRITE_ZEROES, 0, segment(0, 1, 0).repeat(2), IOERR),
        (request::GET_ID, 0, vec![], IOERR),
        (14, 0, segment(0, 1, 0), UNSUPP),
    ];
    for (kind, sector, data, status) in cases {
        assert_eq!(send(&mut driver, kind, sector, &data), status, "type {kind} sector {sector} {} bytes", data.len());
    }
    for kind in [2, 3, 5, 9, 10, 16, 24, u32::MAX] {
        assert_eq!(ask(&mut driver, kind, 0, 512).1, UNSUPP, "type {kind}");
    }
    for (sector, len) in [(last, 512), (0, 511), (last - 1, 1024), (1 << 60, 512)] {
        assert_eq!(ask(&mut driver, request::IN, sector, len), (vec![0; len as usize], IOERR));
    }
    assert_eq!(driver.request(0, &[&header(request::OUT, 0)[..15]], &[1]).data, [IOERR]);
    assert_eq!(driver.request(0, &[], &[1]).data, [IOERR]);
    assert!(disk.contents() == numbered());
    assert_eq!(send(&mut driver, request::OUT, last - 1, &[1; 512]), OK);
}

#[test]
fn a_request_without_room_for_its_status_breaks_the_queue() {
    let (disk, mut driver) = plug(0);
    driver.add(0, &[&header(request::OUT, 0), &[1; 512]], &[]);
    driver.kick(0);
    assert!(driver.needs_reset(PATIENCE));
    assert!(disk.contents() == numbered());
}

#[test]
fn segments_are_discarded_and_zeroed() {
    let (disk, mut driver) = plug(0);
    let many: Vec<u8> = (0..32).flat_map(|i| segment(i * 4, 2, 0)).collect();
    assert_eq!(send(&mut driver, request::DISCARD, 0, &many), OK);
    assert_eq!(send(&mut driver, request::WRITE_ZEROES, 0, &segment(200, 3, 1)), OK);
    let mut expected = numbered();
    (0..32).for_each(|i| expected[i * 2048..][..1024].fill(0xdb));
    expected[200 * 512..203 * 512].fill(0);
    assert!(disk.contents() == expected);
}

#[test]
fn the_serial_number_is_the_one_given_or_the_disks() {
    let (_, mut driver) = plug(0);
    assert_eq!(ask(&mut driver, request::GET_ID, 0, 20), (b"serial\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(), OK));
    let disk = Arc::new(MemoryDisk::new(SIZE));
    let mut driver = Guest::new().plug(Arc::new(Block::new(disk.clone(), 1, Some("more than twenty bytes"))));
    driver.init(0);
    assert_eq!(ask(&mut driver, request::GET_ID, 0, 20).0, b"more than twenty byt");
    let mut driver = Guest::new().plug(Arc::new(Block::new(disk, 1, None)));
    driver.init(0);
    assert!(ask(&mut driver, request::GET_ID, 0, 20).0.starts_with(b"memory\0"));
}

#[test]
fn a_flushed_write_survives_the_loss_of_power_and_another_may_not() {
    let (disk, mut driver) = plug(feature::FLUSH | feature::CONFIG_WCE);
    send(&mut driver, request::OUT, 0, &[1; 512]);
    send(&mut driver, request::FLUSH, 0, &[]);
    send(&mut driver, request::OUT, 1, &[2; 512]);
    disk.lose_power();
    assert_eq!((disk.contents()[0], disk.contents()[512]), (1, numbered()[512]));
}

#[test]
fn without_a_flush_in_the_driver_every_change_is_durable() {
    let changes = |driver: &mut Driver| {
        assert_eq!(send(driver, request::OUT, 0, &[1; 512]), OK);
        assert_eq!(send(driver, request::WRITE_ZEROES, 0, &segment(1, 1, 0)), OK);
    };
    let durable = |disk: &MemoryDisk| {
        disk.lose_power();
        disk.contents()[..512] == [1; 512] && disk.contents()[512..1024] == [0; 512]
    };
    // Neither FLUSH nor CONFIG_WCE.
    let (disk, mut driver) = plug(0);
    changes(&mut driver);
    assert!(durable(&disk));
    // CONFIG_WCE without FLUSH: `writeback` is 0 from the beginning.
    let (disk, mut driver) = plug(feature::CONFIG_WCE);
    assert_eq!(driver.guest().read::<1>(driver.device_config() + 32), [0]);
    changes(&mut driver);
    assert!(durable(&disk));
    // The driver switches the cache off, and on again.
    let (disk, mut driver) = plug(feature::CONFIG_WCE | feature::FLUSH);
    let writeback = driver.device_config() + 32;
    assert_eq!(driver.guest().read::<1>(writeback), [1]);
    driver.guest().bus().write(writeback, &[0]);
    changes(&mut driver);
    assert!(durable(&disk));
    driver.guest().bus().write(writeback, &[1]);
    let flushes = disk.flushes();
    changes(&mut driver);
    assert_eq!(disk.flushes(), flushes);
    driver.reset();
    driver.init(feature::FLUSH);
    driver.guest().bus().write(writeback, &[0]);
    assert_eq!(driver.guest().read::<1>(writeback), [1], "CONFIG_WCE was not negotiated");
}

#[test]
fn a_pause_keeps_the_mode_of_the_cache() {
    let (disk, mut driver) = plug(feature::CONFIG_WCE | feature::FLUSH);
    driver.guest().bus().write(driver.device_config() + 32, &[0]);
    driver.transport().stop();
    driver.transport().start();
    send(&mut driver, request::OUT, 0, &[1; 512]);
    assert_eq!(disk.flushes(), 1);
}

#[test]
fn a_read_only_disk_is_not_changed() {
    let disk = Arc::new(MemoryDisk::holding(numbered()).read_only());
    let mut driver = Guest::new().plug(Arc::new(Block::new(disk.clone(), 1, None)));
    assert_eq!(driver.offered() & (feature::RO | feature::DISCARD | feature::WRITE_ZEROES), feature::RO);
    driver.init(feature::RO);
    for (kind, data) in
        [(request::OUT, vec![1; 512]), (request::DISCARD, segment(0, 1, 0)), (request::WRITE_ZEROES, segment(0, 1, 0))]
    {
        assert_eq!(send(&mut driver, kind, 0, &data), IOERR);
    }
    assert_eq!(send(&mut driver, request::FLUSH, 0, &[]), OK);
    assert_eq!(ask(&mut driver, request::IN, 1, 512), (numbered()[512..1024].to_vec(), OK));
    assert!(disk.contents() == numbered());
}

#[test]
fn a_disk_that_fails_is_an_error_for_the_guest_and_the_device_goes_on() {
    let (disk, mut driver) = plug(feature::FLUSH);
    disk.set_failing(true);
    assert_eq!(send(&mut driver, request::OUT, 0, &[1; 512]), IOERR);
    assert_eq!(send(&mut driver, request::FLUSH, 0, &[]), IOERR);
    assert_eq!(ask(&mut driver, request::IN, 0, 512).1, IOERR);
    disk.set_failing(false);
    assert_eq!(ask(&mut driver, request::IN, 0, 512), (numbered()[..512].to_vec(), OK));
}

#[test]
fn each_queue_has_its_own_threads() {
    let disk = Arc::new(MemoryDisk::holding(numbered()));
    let mut driver = Guest::new().plug(Arc::new(Block::new(disk, 3, None)));
    driver.init(feature::MQ);
    for round in 0..50u64 {
        for queue in 0..3 {
            driver.add(queue, &[&header(request::IN, round + u64::from(queue))], &[512, 1]);
            driver.kick(queue);
        }
        for queue in [2, 0, 1] {
            let used = driver.wait(queue);
            let at = (round as usize + usize::from(queue)) * 512;
            assert!(used.data[..512] == numbered()[at..at + 512]);
        }
    }
}

/// A disk whose reads wait for each other: for so many of them once one has been slow.
struct Meeting {
    wanted: usize,
    come: Mutex<usize>,
    changed: Condvar,
}

impl Disk for Meeting {
    fn size(&self) -> u64 {
        SIZE as u64
    }
    fn geometry(&self) -> Geometry {
        Geometry::default()
    }
    fn read_only(&self) -> bool {
        true
    }
    fn id(&self) -> &str {
        "meeting"
    }
    fn read(&self, _: u64, _: &mut [IoSliceMut<'_>]) -> Result<(), Error> {
        let mut come = self.come.lock();
        *come += 1;
        if *come == 1 {
            std::thread::sleep(Duration::from_millis(5));
            return Ok(());
        }
        self.changed.notify_all();
        let late = self.changed.wait_while_for(&mut come, |come| *come <= self.wanted, PATIENCE).timed_out();
        if late { Err(Error::Unsupported("wait for more")) } else { Ok(()) }
    }
    fn write(&self, _: u64, _: &[IoSlice<'_>]) -> Result<(), Error> {
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
fn requests_of_one_queue_wait_for_a_slow_disk_together() {
    let disk = Meeting { wanted: 8, come: Mutex::default(), changed: Condvar::new() };
    let mut driver = Guest::new().plug(Arc::new(Block::new(Arc::new(disk), 1, None)));
    driver.init(0);
    assert_eq!(ask(&mut driver, request::IN, 0, 512).1, OK);
    let heads: BTreeSet<u16> = (0..8).map(|sector| driver.add(0, &[&header(request::IN, sector)], &[512, 1])).collect();
    driver.kick(0);
    let back: BTreeSet<u16> = (0..8)
        .map(|_| {
            let used = driver.wait(0);
            assert_eq!((used.written, used.data[512]), (513, OK));
            used.head
        })
        .collect();
    assert_eq!(back, heads);
    // Threads that wait end with a pause, and go on after it.
    driver.transport().stop();
    driver.transport().start();
    assert_eq!(ask(&mut driver, request::IN, 0, 512).1, OK);
}

/// A disk whose flushes do not end before they may.
#[derive(Default)]
struct Held {
    free: Mutex<bool>,
    changed: Condvar,
}

impl Held {
    fn free(&self) {
        *self.free.lock() = true;
        self.changed.notify_all();
    }
}

impl Disk for Held {
    fn size(&self) -> u64 {
        SIZE as u64
    }
    fn geometry(&self) -> Geometry {
        Geometry::default()
    }
    fn read_only(&self) -> bool {
        false
    }
    fn id(&self) -> &str {
        "held"
    }
    fn read(&self, _: u64, _: &mut [IoSliceMut<'_>]) -> Result<(), Error> {
        Ok(())
    }
    fn write(&self, _: u64, _: &[IoSlice<'_>]) -> Result<(), Error> {
        Ok(())
    }
    fn flush(&self) -> Result<(), Error> {
        let late = self.changed.wait_while_for(&mut self.free.lock(), |free| !*free, PATIENCE).timed_out();
        if late { Err(Error::FlushFailed) } else { Ok(()) }
    }
    fn discard(&self, _: u64, _: u64) -> Result<(), Error> {
        Ok(())
    }
    fn write_zeroes(&self, _: u64, _: u64, _: bool) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn quick_requests_do_not_wait_for_a_slow_one_before_or_behind_them() {
    for features in [feature::FLUSH, feature::FLUSH | common::RING_EVENT_IDX] {
        let disk = Arc::new(Held::default());
        let mut driver = Guest::new().plug(Arc::new(Block::new(disk.clone(), 1, None)));
        driver.init(features);
        // Fewer than are told together, and one that does not end.
        let quick: Vec<u16> = (0..5).map(|at| driver.add(0, &[&header(request::IN, at)], &[512, 1])).collect();
        let flush = driver.add(0, &[&header(request::FLUSH, 0)], &[1]);
        driver.kick(0);
        // On a busy host one of them may seem slow, and another thread be done with the next before it is.
        let mut told: Vec<u16> = quick.iter().map(|_| driver.wait(0).head).collect();
        told.sort_unstable();
        assert_eq!(told, quick);
        // One that comes meanwhile, and a kick only if the device has asked for it.
        let seen = driver.ring(0).published();
        let later = driver.add(0, &[&header(request::OUT, 0), &[1; 512]], &[1]);
        let end = Instant::now() + PATIENCE;
        while !driver.ring(0).wants_kick(seen) {
            assert!(Instant::now() < end, "nobody else looks into the queue");
            std::thread::yield_now();
        }
        driver.kick(0);
        assert_eq!(driver.wait(0).head, later);
        disk.free();
        let used = driver.wait(0);
        assert_eq!((used.head, used.data), (flush, vec![OK]));
    }
}

#[test]
fn one_queue_is_enough_of_those_offered() {
    let mut driver = Guest::new().plug(Arc::new(Block::new(Arc::new(MemoryDisk::new(SIZE)), 4, None)));
    driver.negotiate(common::VERSION_1).unwrap();
    driver.enable_queue(0, 0);
    driver.start();
    assert_eq!(send(&mut driver, request::OUT, 0, &[1; 512]), OK);
    driver.kick(3);
    driver.reset();
    driver.negotiate(common::VERSION_1).unwrap();
    driver.enable_queue(1, 0);
    driver.start();
    assert!(driver.needs_reset(PATIENCE), "a device without its first queue");
}

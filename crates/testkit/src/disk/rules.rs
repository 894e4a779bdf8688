//! The rules.

use std::collections::HashMap;
use std::sync::Arc;

use block::contract::{self, MemoryDisk, Random};
use block::{Disk, RawDisk, RawOptions};

use super::{BlockDriver, Bytes, Ended, Failed, Make, Request};

const SIZE: usize = 1 << 20;

fn numbered() -> Vec<u8> {
    (0..SIZE).map(|at| (at / 512 + at) as u8).collect()
}

fn write(first: u64, value: u8, bytes: u64) -> Request {
    Request::Write { first, data: vec![value; bytes as usize] }
}

fn ok(driver: &mut dyn BlockDriver, request: &Request) -> Vec<u8> {
    driver.request(request).unwrap_or_else(|failed| panic!("{request:?}: {failed:?}"))
}

/// The controller tells how many whole blocks the disk has, and whether it can be written.
pub fn tells_the_size_and_whether_it_can_be_written(make: Make<'_>) {
    for (size, read_only) in [(SIZE, false), (SIZE + 100, true), (512, false)] {
        let disk = MemoryDisk::new(size);
        let disk: Arc<dyn Disk> = Arc::new(if read_only { disk.read_only() } else { disk });
        let driver = make(disk.clone());
        assert_eq!(driver.block(), u64::from(disk.geometry().logical_block));
        assert_eq!(driver.blocks(), size as u64 / driver.block());
        assert_eq!(driver.read_only(), disk.read_only());
    }
}

/// Random requests of any alignment do what the same on a disk in memory does.
pub fn matches_the_model(make: Make<'_>) {
    for seed in 1..=2 {
        contract::operations(&Bytes::new(make(Arc::new(MemoryDisk::new(SIZE)))), seed, 250);
    }
}

/// The same over a file.
pub fn matches_the_model_on_a_file(make: Make<'_>) {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(SIZE as u64).unwrap();
    let disk = RawDisk::open(file.path(), RawOptions::default()).unwrap();
    contract::operations(&Bytes::new(make(Arc::new(disk))), 3, 250);
}

/// A request that is not all on the disk is refused and changes nothing.
pub fn refuses_what_lies_outside(make: Make<'_>) {
    let disk = Arc::new(MemoryDisk::holding(numbered()));
    let mut driver = make(disk.clone());
    let (block, end) = (driver.block(), driver.blocks());
    for (first, count) in [(end, 1), (end - 1, 2), (end + 7, 3), (u64::MAX, 1), (u64::MAX / block + 1, 2), (1 << 40, 8)]
    {
        let all = [
            Request::Read { first, count },
            write(first, 0xee, count * block),
            Request::Zeroes { first, count, unmap: false },
            Request::Zeroes { first, count, unmap: true },
            Request::Discard { first, count },
        ];
        for request in all.iter().filter(|request| driver.can(request)).cloned().collect::<Vec<_>>() {
            assert_eq!(driver.request(&request), Err(Failed), "{request:?} of {end} blocks");
        }
    }
    assert!(disk.contents() == numbered());
    ok(&mut *driver, &write(end - 1, 0xee, block));
    assert_eq!(ok(&mut *driver, &Request::Read { first: end - 1, count: 1 }), vec![0xee; block as usize]);
}

/// Keeps as many requests on their way as the driver has room for, and gives what each ended with.
fn flood(driver: &mut dyn BlockDriver, requests: &[Request]) -> Vec<Ended> {
    let mut flying = HashMap::new();
    let mut ended = vec![None; requests.len()];
    let mut next = 0;
    while next < requests.len() || !flying.is_empty() {
        if next < requests.len() && flying.len() < driver.depth() {
            flying.insert(driver.submit(&requests[next]), next);
            next += 1;
        } else {
            let (number, result) = driver.wait();
            let index = flying.remove(&number).unwrap_or_else(|| panic!("request {number} came back unasked"));
            ended[index] = Some(result);
        }
    }
    ended.into_iter().flatten().collect()
}

/// Requests in flight at the same time each do their own.
pub fn does_many_requests_at_once(make: Make<'_>) {
    let mut driver = make(Arc::new(MemoryDisk::new(SIZE)));
    let (block, blocks) = (driver.block(), driver.blocks());
    let mut random = Random::new(4);
    for round in 0..3u8 {
        let mut order: Vec<u64> = (0..blocks / 2).collect();
        (0..order.len()).for_each(|at| order.swap(at, random.below(blocks / 2) as usize));
        let writes: Vec<_> = order.iter().map(|n| write(2 * n, (*n as u8) ^ round, block)).collect();
        assert!(flood(&mut *driver, &writes).iter().all(Result::is_ok));
        let reads: Vec<_> = order.iter().map(|n| Request::Read { first: 2 * n, count: 2 }).collect();
        for (n, read) in order.iter().zip(flood(&mut *driver, &reads)) {
            let wanted = [vec![(*n as u8) ^ round; block as usize], vec![0; block as usize]].concat();
            assert!(read.as_ref() == Ok(&wanted), "round {round} block {}", 2 * n);
        }
    }
}

/// Of writes that overlap in space and time each byte is of one of them, and none is lost elsewhere.
pub fn mixes_overlapping_writes_by_the_byte(make: Make<'_>) {
    let mut driver = make(Arc::new(MemoryDisk::new(SIZE)));
    let (block, blocks) = (driver.block(), driver.blocks());
    let mut random = Random::new(5);
    for round in 0..20 {
        let (first, count) = (random.below(blocks / 2), 1 + random.below(64));
        let depth = driver.depth().min(8) as u8;
        let writes: Vec<_> = (1..=depth).map(|value| write(first, value, count * block)).collect();
        assert!(flood(&mut *driver, &writes).iter().all(Result::is_ok));
        let read = ok(&mut *driver, &Request::Read { first, count });
        assert!(read.iter().all(|byte| (1..=depth).contains(byte)), "round {round}: a byte that nobody wrote");
    }
}

/// What had completed when a flush was sent survives the loss of power; a later write may not.
pub fn keeps_what_was_flushed(make: Make<'_>) {
    let disk = Arc::new(MemoryDisk::holding(numbered()));
    let mut driver = make(disk.clone());
    let block = driver.block();
    ok(&mut *driver, &write(0, 1, block));
    let zeroes = Request::Zeroes { first: 1, count: 1, unmap: false };
    let can = driver.can(&zeroes);
    if can {
        ok(&mut *driver, &zeroes);
    }
    ok(&mut *driver, &Request::Flush);
    ok(&mut *driver, &write(2, 3, block));
    disk.lose_power();
    let (contents, block) = (disk.contents(), block as usize);
    assert!(contents[..block].iter().all(|byte| *byte == 1));
    assert!(!can || contents[block..2 * block].iter().all(|byte| *byte == 0));
    assert_eq!(contents[2 * block..3 * block], numbered()[2 * block..3 * block], "no controller flushes unasked");
}

/// A disk that fails is a failure for the guest, and the controller goes on.
pub fn goes_on_after_failures(make: Make<'_>) {
    let disk = Arc::new(MemoryDisk::holding(numbered()));
    let mut driver = make(disk.clone());
    let block = driver.block();
    disk.set_failing(true);
    for request in [Request::Read { first: 0, count: 1 }, write(0, 1, block), Request::Flush] {
        assert_eq!(driver.request(&request), Err(Failed), "{request:?}");
    }
    disk.set_failing(false);
    assert!(disk.contents() == numbered());
    assert_eq!(
        ok(&mut *driver, &Request::Read { first: 3, count: 1 }),
        numbered()[3 * block as usize..][..block as usize]
    );
}

/// Every change to a read-only disk is refused, reads and flushes are not.
pub fn leaves_a_read_only_disk_alone(make: Make<'_>) {
    let disk = Arc::new(MemoryDisk::holding(numbered()).read_only());
    let mut driver = make(disk.clone());
    let block = driver.block();
    let changes = [
        write(0, 1, block),
        Request::Zeroes { first: 0, count: 1, unmap: false },
        Request::Discard { first: 0, count: 1 },
    ];
    for request in changes.iter().filter(|request| driver.can(request)).cloned().collect::<Vec<_>>() {
        assert!(driver.request(&request).is_err(), "{request:?}");
    }
    ok(&mut *driver, &Request::Flush);
    assert_eq!(ok(&mut *driver, &Request::Read { first: 1, count: 1 }), numbered()[block as usize..][..block as usize]);
    assert!(disk.contents() == numbered());
}

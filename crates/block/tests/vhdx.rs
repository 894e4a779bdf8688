//! VHDX images: what `qemu-img` makes is read to the byte, what is damaged or meant to harm ends in an error.

use std::fs;
use std::io::IoSliceMut;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use block::contract::{MemoryDisk, Random};
use block::image::{Format, Image, ImageOptions};
use block::vhdx::Vhdx;
use block::{Disk, Error};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// Where what `qemu-img` makes has its structures: the headers, the region tables, the block allocation table and the
/// metadata.
const HEADERS: [usize; 2] = [64 * KIB, 128 * KIB];
const TABLES: [usize; 2] = [192 * KIB, 256 * KIB];
const BAT: usize = 2 * MIB;
const METADATA: usize = 3 * MIB;
/// The structures with a checksum, and how many bytes it is over.
const CHECKED: [(usize, usize); 4] =
    [(HEADERS[0], 4096), (HEADERS[1], 4096), (TABLES[0], 64 * KIB), (TABLES[1], 64 * KIB)];

/// Data, zeroes and holes, and no whole block at the end.
fn contents() -> Vec<u8> {
    let mut random = Random::new(9);
    let mut bytes = vec![0; 9 * MIB + 300 * 512];
    for (at, len) in [(0, 700), (1_000_000, 300_000), (5 * MIB, MIB), (9 * MIB + 200 * 512, 51_200)] {
        bytes[at..at + len].copy_from_slice(&random.bytes(len));
    }
    bytes
}

fn qemu_img(folder: &Path, args: &[&str]) {
    let output = Command::new("qemu-img").current_dir(folder).args(args).output().expect("qemu-img is needed");
    assert!(output.status.success(), "qemu-img {args:?}: {output:?}");
}

/// Makes `a.vhdx` of the contents.
fn make(folder: &Path, options: &str) {
    fs::write(folder.join("raw.img"), contents()).unwrap();
    qemu_img(folder, &["convert", "-f", "raw", "-O", "vhdx", "-o", options, "raw.img", "a.vhdx"]);
}

fn open(path: &Path) -> Result<Image, Error> {
    Image::open(path, &ImageOptions { read_only: true, ..ImageOptions::default() })
}

fn read(disk: &dyn Disk, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0xee; len];
    let (a, b) = bytes.split_at_mut(len / 3);
    disk.read(offset, &mut [IoSliceMut::new(a), IoSliceMut::new(b)])?;
    Ok(bytes)
}

#[test]
fn what_qemu_img_makes_is_read_to_the_byte() {
    let wanted = contents();
    for options in [
        "subformat=dynamic,block_size=1M",
        "subformat=dynamic,block_size=2M",
        "subformat=dynamic",
        "subformat=fixed,block_size=1M",
        "subformat=fixed",
    ] {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path(), options);
        let image = open(&folder.path().join("a.vhdx")).unwrap();
        let disk = &*image.disk;
        assert_eq!((image.format, disk.size(), disk.read_only()), (Format::Vhdx, wanted.len() as u64, true));
        assert!(read(disk, 0, wanted.len()).unwrap() == wanted, "{options}");
        let mut random = Random::new(1);
        for _ in 0..300 {
            let (offset, len) = random.range(disk.size(), 2_000_000);
            let part = &wanted[offset as usize..][..len as usize];
            assert!(read(disk, offset, len as usize).unwrap() == part, "{options}: {len} bytes at {offset}");
        }
        // Extents cover the disk and promise no zeroes that are none.
        let (mut at, mut holes) = (0, 0);
        while at < disk.size() {
            let extent = disk.extent(at, disk.size() - at).unwrap();
            let zero = wanted[at as usize..][..extent.len as usize].iter().all(|byte| *byte == 0);
            assert!(extent.len > 0 && (zero || !extent.kind.is_zero()), "{options} at {at}");
            holes += u64::from(extent.kind.is_zero()) * extent.len;
            at += extent.len;
        }
        let small = options.contains("dynamic") && options.contains("block_size");
        assert!(!small || holes >= 4 * MIB as u64, "{options}: {holes} bytes of holes");
        assert!(matches!(disk.read(disk.size(), &mut [IoSliceMut::new(&mut [0])]), Err(Error::OutOfBounds { .. })));
        assert!(matches!(disk.write_zeroes(0, 1, true), Err(Error::ReadOnly)));
    }
}

/// Behind each 4096 blocks of 1 MiB the table has an entry of another kind.
#[test]
fn blocks_behind_the_entry_of_a_bitmap_are_found() {
    let folder = tempfile::tempdir().unwrap();
    qemu_img(folder.path(), &["create", "-f", "vhdx", "-o", "block_size=1M", "a.vhdx", "9G"]);
    let io = |command: &str| {
        let written =
            Command::new("qemu-io").current_dir(folder.path()).args(["-f", "vhdx", "-c", command, "a.vhdx"]).output();
        assert!(written.as_ref().is_ok_and(|output| output.status.success()), "{written:?}");
    };
    let places = [4095u64, 4096, 4097, 8191, 8192, 9215];
    for place in places {
        io(&format!("write -P {} {place}M 1M", 1 + place % 251));
    }
    let image = open(&folder.path().join("a.vhdx")).unwrap();
    for place in places {
        let bytes = read(&*image.disk, place * MIB as u64, MIB).unwrap();
        assert!(bytes.iter().all(|byte| u64::from(*byte) == 1 + place % 251), "block {place}");
    }
    let mut data = 0;
    let mut at = 0;
    while at < image.disk.size() {
        let extent = image.disk.extent(at, image.disk.size() - at).unwrap();
        data += u64::from(!extent.kind.is_zero()) * extent.len;
        at += extent.len;
    }
    assert_eq!(data, (places.len() * MIB) as u64);
}

#[test]
fn it_can_be_below_an_overlay_and_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), "block_size=1M");
    let path = folder.path().join("a.vhdx");
    let before = fs::read(&path).unwrap();
    let said = Image::open(&path, &ImageOptions::default()).err().unwrap().to_string();
    assert!(said.contains("vhdx images") && said.contains("russet disk convert"), "{said}");
    let snapshot = Image::open(&path, &ImageOptions { snapshot: true, ..ImageOptions::default() }).unwrap();
    block::contract::operations(&*snapshot.disk, 1, 100);
    drop(snapshot);
    qemu_img(folder.path(), &["create", "-f", "qcow2", "-b", "a.vhdx", "-F", "vhdx", "top.qcow2"]);
    let top = Image::open(&folder.path().join("top.qcow2"), &ImageOptions::default()).unwrap();
    assert!(read(&*top.disk, 0, contents().len()).unwrap() == contents());
    block::contract::operations(&*top.disk, 2, 100);
    drop(top);
    assert!(fs::read(&path).unwrap() == before);
}

/// Opens a file, and uses it a little.
fn use_it(file: Vec<u8>, seed: u64) -> Result<(), Error> {
    let disk = Vhdx::open(Arc::new(MemoryDisk::holding(file)))?;
    let mut random = Random::new(seed);
    for _ in 0..40 {
        let (offset, len) = random.range(disk.size(), 1_000_000);
        let read = read(&disk, offset, len as usize).map(drop);
        disk.extent(offset, len).map(drop).and(read)?;
    }
    Ok(())
}

/// Gives each structure the checksum of what is in it.
fn sum_up(file: &mut [u8]) {
    for (at, len) in CHECKED {
        let part = &mut file[at..at + len];
        let sum = block::vhdx::checksum(part);
        part[4..8].copy_from_slice(&sum.to_le_bytes());
    }
}

#[test]
fn damaged_images_harm_nobody() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), "block_size=1M");
    let good = fs::read(folder.path().join("a.vhdx")).unwrap();
    use_it(good.clone(), 0).unwrap();
    let mut refused = 0;
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let mut file = good.clone();
        for _ in 0..1 + random.below(4) {
            let start = [HEADERS[0], TABLES[0], BAT, METADATA, METADATA + 64 * KIB][random.below(5) as usize];
            let at = start + random.below(192) as usize;
            match random.below(3) {
                0 => file[at] ^= 1 << random.below(8),
                1 => file[at] = random.next_u64() as u8,
                _ => file[at & !3..][..4].copy_from_slice(&(random.next_u64() as u32).to_le_bytes()),
            }
        }
        if random.below(2) == 0 {
            let first = HEADERS[0]..HEADERS[0] + 4096;
            file.copy_within(first, HEADERS[1]);
            sum_up(&mut file);
        }
        file.truncate(file.len() - random.below(3) as usize * 2000);
        refused += u32::from(use_it(file, seed).is_err());
    }
    assert!(refused > 100, "{refused} of 400 were found to be damaged");
}

/// The copy of a structure that is whole is taken.
#[test]
fn one_damaged_copy_is_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), "block_size=1M");
    let good = fs::read(folder.path().join("a.vhdx")).unwrap();
    for pair in [HEADERS, TABLES] {
        for at in pair {
            let mut file = good.clone();
            file[at + 20] ^= 1;
            use_it(file, 1).unwrap();
        }
        let mut file = good.clone();
        pair.iter().for_each(|at| file[at + 20] ^= 1);
        let said = use_it(file, 1).unwrap_err().to_string();
        assert!(said.contains("both its"), "{said}");
    }
}

#[test]
fn fields_that_ask_for_too_much_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), "block_size=1M");
    let good = fs::read(folder.path().join("a.vhdx")).unwrap();
    // Where an item is, found by its GUID's first four bytes in the metadata's table.
    let item = |first: u32| {
        let table = good[METADATA..][..64 * KIB].chunks_exact(32);
        let entry = table.clone().position(|entry| entry[..4] == first.to_le_bytes()).unwrap();
        let entry = table.clone().nth(entry).unwrap();
        METADATA + u32::from_le_bytes(entry[16..20].try_into().unwrap()) as usize
    };
    let mut entry = [0; 32];
    (entry[0], entry[28]) = (7, 1);
    let (parameters, size, sector) = (item(0xcaa1_6737), item(0x2fa5_4224), item(0x8141_bf1d));
    for (at, value, width, said) in [
        (0, 0, 8, "no vhdx header|no VHDX header"),
        (HEADERS[0] + 66, 2, 2, "version 2"),
        (HEADERS[0] + 48, 1, 8, "was not closed"),
        (TABLES[0] + 8, 3000, 4, "3000 entries"),
        (TABLES[0] + 8, 1, 4, "no block allocation table|no metadata"),
        (TABLES[0] + 16, 7, 4, "no block allocation table"),
        // A third region, which no reader may pass over.
        (TABLES[0] + 8, 3, 4, "a region that is not known: 00000007-0000-0000-0000-000000000000"),
        (TABLES[0] + 16 + 16, 1 << 50, 8, "outside the file"),
        (TABLES[0] + 16 + 16, u64::MAX << 20, 8, "outside the file"),
        (TABLES[0] + 16 + 16, 0, 8, "outside the file"),
        (TABLES[0] + 16 + 24, u64::from(u32::MAX), 4, "outside the file"),
        (TABLES[0] + 16 + 24, 8, 4, "too short"),
        (TABLES[0] + 48 + 24, 4096, 4, "a length of 4096"),
        (METADATA, 0, 8, "a table"),
        (METADATA + 10, 5000, 2, "a table of 5000"),
        (METADATA + 10, 2, 2, "an item is missing"),
        (METADATA + 32 + 16, 8, 4, "an item of 8"),
        (METADATA + 32 + 16, u64::from(u32::MAX), 4, "an item of"),
        (METADATA + 32 + 20, u64::from(u32::MAX), 4, "an item of"),
        (METADATA + 32, 7, 4, "an item that is not known"),
        (parameters, 3 << 20, 4, "a block size"),
        (parameters, 0, 4, "a block size"),
        (parameters, 1 << 31, 4, "a block size"),
        (parameters + 4, 2, 4, "a change over another image"),
        (size, 0, 8, "a size of 0"),
        (size, 513, 8, "a size of 513"),
        (size, 65 << 40, 8, "a size of"),
        (size, 64 << 40, 8, "too short"),
        (sector, 0, 4, "a sector size"),
        (BAT, 5, 8, "state 5"),
        (BAT, 7, 8, "state 7"),
        (BAT, 6 | 1 << 60, 8, "behind its end"),
        (BAT, 6 | 0xfff_ffff_ffff << 20, 8, "behind its end"),
    ] {
        let mut file = good.clone();
        file[TABLES[0] + 16 + 64..][..32].copy_from_slice(&entry);
        file[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        // Both copies of a structure are the same.
        file.copy_within(HEADERS[0]..HEADERS[0] + 4096, HEADERS[1]);
        file.copy_within(TABLES[0]..TABLES[0] + 64 * KIB, TABLES[1]);
        sum_up(&mut file);
        let disk = Vhdx::open(Arc::new(MemoryDisk::holding(file)));
        let error = disk.and_then(|disk| read(&disk, 0, 4096)).err().map(|e| e.to_string());
        let found = error.as_ref().is_some_and(|e| said.split('|').any(|said| e.contains(said)));
        assert!(found, "{value:#x} at {at:#x}: {error:?} and not {said}");
    }
}

/// A log with one entry ("2.3 Log"): the first 4 KiB of the block allocation table are to be `page`.
fn log(page: &[u8], guid: [u8; 16], size: usize) -> Vec<u8> {
    let mut log = vec![0; 2 * 4096];
    let mut put = |at: usize, bytes: &[u8]| log[at..at + bytes.len()].copy_from_slice(bytes);
    let (sequence, end) = (1u64.to_le_bytes(), (size as u64).to_le_bytes());
    put(0, b"loge");
    put(8, &8192u32.to_le_bytes());
    put(16, &sequence);
    put(24, &1u32.to_le_bytes());
    put(32, &guid);
    put(48, &end);
    put(56, &end);
    // Its descriptor has the ends of what its data sector has the rest of.
    put(64, b"desc");
    put(68, &page[4092..]);
    put(72, &page[..8]);
    put(80, &(BAT as u64).to_le_bytes());
    put(88, &sequence);
    put(4096, b"data");
    put(4096 + 8, &page[8..4092]);
    put(8188, &sequence[..4]);
    let sum = block::vhdx::checksum(&log).to_le_bytes();
    log[4..8].copy_from_slice(&sum);
    log
}

/// A log with changes, as a crash of the program that wrote the image leaves it.
#[test]
fn changes_in_the_log_are_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), "block_size=1M");
    let path = folder.path().join("a.vhdx");
    let mut file = fs::read(&path).unwrap();
    let (guid, size) = ([0x5a; 16], file.len());
    for at in HEADERS {
        file[at + 48..at + 64].copy_from_slice(&guid);
    }
    sum_up(&mut file);
    let log = log(&file[BAT..][..4096], guid, size);
    file[MIB..][..log.len()].copy_from_slice(&log);
    file[BAT..][..4096].fill(0);
    fs::write(&path, file).unwrap();
    let said = open(&path).err().unwrap().to_string();
    assert!(said.contains("a.vhdx") && said.contains("qemu-img check -r all"), "{said}");
    // What it says helps.
    qemu_img(folder.path(), &["check", "-r", "all", "a.vhdx"]);
    let image = open(&path).unwrap();
    assert!(read(&*image.disk, 0, contents().len()).unwrap() == contents());
}

//! VMDK images: what `qemu-img` makes is read to the byte, what is damaged or meant to harm ends in an error.

use std::fs;
use std::io::IoSliceMut;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use block::contract::{MemoryDisk, Random};
use block::image::{Format, Image, ImageOptions};
use block::vmdk::Vmdk;
use block::{Disk, Error};

const MIB: usize = 1 << 20;

/// Data, zeroes and holes, and no whole grain at the end.
fn contents() -> Vec<u8> {
    let mut random = Random::new(9);
    let mut bytes = vec![0; 5 * MIB + 300 * 512];
    for (at, len) in [(0, 700), (65_536, 65_536), (1_000_000, 300_000), (3 * MIB, MIB), (5 * MIB + 200 * 512, 51_200)] {
        // Half of it is easy to compress.
        bytes[at..at + len].fill(7);
        bytes[at..at + len / 2].copy_from_slice(&random.bytes(len / 2));
    }
    bytes
}

fn qemu_img(folder: &Path, args: &[&str]) {
    let output = Command::new("qemu-img").current_dir(folder).args(args).output().expect("qemu-img is needed");
    assert!(output.status.success(), "qemu-img {args:?}: {output:?}");
}

/// Makes `NAME.vmdk` of the contents.
fn make(folder: &Path, subformat: &str) {
    fs::write(folder.join("raw.img"), contents()).unwrap();
    let (option, name) = (format!("subformat={subformat}"), format!("{subformat}.vmdk"));
    qemu_img(folder, &["convert", "-f", "raw", "-O", "vmdk", "-o", &option, "raw.img", &name]);
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
    for subformat in
        ["monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat", "streamOptimized"]
    {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path(), subformat);
        let image = open(&folder.path().join(format!("{subformat}.vmdk"))).unwrap();
        let disk = &*image.disk;
        assert_eq!((image.format, disk.size(), disk.read_only()), (Format::Vmdk, wanted.len() as u64, true));
        assert!(read(disk, 0, wanted.len()).unwrap() == wanted, "{subformat}");
        let mut random = Random::new(1);
        for _ in 0..300 {
            let (offset, len) = random.range(disk.size(), 200_000);
            let part = &wanted[offset as usize..][..len as usize];
            assert!(read(disk, offset, len as usize).unwrap() == part, "{subformat}: {len} bytes at {offset}");
        }
        // Extents are small enough to matter, cover the disk and promise no zeroes that are none.
        let (mut at, mut holes) = (0, 0);
        while at < disk.size() {
            let extent = disk.extent(at, disk.size() - at).unwrap();
            let zero = wanted[at as usize..][..extent.len as usize].iter().all(|byte| *byte == 0);
            assert!(extent.len > 0 && (zero || !extent.kind.is_zero()), "{subformat} at {at}");
            holes += u64::from(extent.kind.is_zero()) * extent.len;
            at += extent.len;
        }
        assert!(holes > MIB as u64, "{subformat}: {holes} bytes of holes");
        assert!(matches!(disk.read(disk.size(), &mut [IoSliceMut::new(&mut [0])]), Err(Error::OutOfBounds { .. })));
        assert!(matches!(disk.write_zeroes(0, 1, true), Err(Error::ReadOnly)));
    }
}

#[test]
fn a_disk_of_many_extents_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    make(folder.path(), "monolithicSparse");
    fs::rename(at("monolithicSparse.vmdk"), at("sparse part.vmdk")).unwrap();
    fs::write(at("flat.img"), Random::new(3).bytes(2 * MIB)).unwrap();
    let text = "# Disk DescriptorFile\r\nversion=1\r\nparentCID = FFFFFFFF\r\ncreateType=\"custom\"\r\n\r\n\
                RW 1000 FLAT \"flat.img\" 8\r\nRW 2048 ZERO\r\nRDONLY 2000 SPARSE \"sparse part.vmdk\"\r\n\
                RW 100 VMFS \"flat.img\"\r\n";
    fs::write(at("many.vmdk"), text).unwrap();
    let flat = fs::read(at("flat.img")).unwrap();
    let wanted =
        [&flat[8 * 512..][..1000 * 512], &vec![0; 2048 * 512], &contents()[..2000 * 512], &flat[..100 * 512]].concat();
    let image = open(&at("many.vmdk")).unwrap();
    assert!(read(&*image.disk, 0, wanted.len()).unwrap() == wanted);
    assert!(read(&*image.disk, 511_999, 1_100_000).unwrap() == wanted[511_999..][..1_100_000]);
}

#[test]
fn it_can_be_below_an_overlay_and_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), "streamOptimized");
    let path = folder.path().join("streamOptimized.vmdk");
    let before = fs::read(&path).unwrap();
    let said = Image::open(&path, &ImageOptions::default()).err().unwrap().to_string();
    assert!(said.contains("snapshot") && said.contains("russet disk convert"), "{said}");
    let snapshot = Image::open(&path, &ImageOptions { snapshot: true, ..ImageOptions::default() }).unwrap();
    block::contract::operations(&*snapshot.disk, 1, 100);
    drop(snapshot);
    qemu_img(folder.path(), &["create", "-f", "qcow2", "-b", "streamOptimized.vmdk", "-F", "vmdk", "top.qcow2"]);
    let top = Image::open(&folder.path().join("top.qcow2"), &ImageOptions::default()).unwrap();
    assert!(read(&*top.disk, 0, contents().len()).unwrap() == contents());
    block::contract::operations(&*top.disk, 2, 100);
    drop(top);
    assert!(fs::read(&path).unwrap() == before);
}

/// Opens a file that names no others, and uses it a little.
fn use_it(file: Vec<u8>, seed: u64) -> Result<(), Error> {
    let nothing = |name: &str| Err(Error::image(format!("{name} is not to be opened")));
    let disk = Vmdk::open(Arc::new(MemoryDisk::holding(file)), &mut { nothing })?;
    let mut random = Random::new(seed);
    for _ in 0..20 {
        let (offset, len) = random.range(disk.size(), 100_000);
        let read = read(&disk, offset, len as usize).map(drop);
        disk.extent(offset, len).map(drop).and(read)?;
    }
    Ok(())
}

#[test]
fn damaged_images_harm_nobody() {
    let folder = tempfile::tempdir().unwrap();
    for subformat in ["monolithicSparse", "streamOptimized"] {
        make(folder.path(), subformat);
        let good = fs::read(folder.path().join(format!("{subformat}.vmdk"))).unwrap();
        use_it(good.clone(), 0).unwrap();
        let mut refused = 0;
        for seed in 0..400 {
            let mut random = Random::new(seed);
            let mut file = good.clone();
            for _ in 0..1 + random.below(4) {
                let len = file.len();
                let at = match random.below(4) {
                    0 => random.below(80) as usize,
                    // The tables, and the footer.
                    1 => random.below(70_000) as usize % len,
                    2 => len - 1 - random.below(1536) as usize,
                    _ => random.below(len as u64) as usize,
                };
                match random.below(3) {
                    0 => file[at] ^= 1 << random.below(8),
                    1 => file[at] = random.next_u64() as u8,
                    _ => file[at & !3..][..4].copy_from_slice(&(random.next_u64() as u32).to_le_bytes()),
                }
            }
            file.truncate(file.len() - random.below(3) as usize * 2000);
            refused += u32::from(use_it(file, seed).is_err());
        }
        assert!(refused > 20, "{refused} of 400 were found to be damaged");
    }
}

#[test]
fn headers_that_ask_for_too_much_are_refused_by_the_field() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), "monolithicSparse");
    let good = fs::read(folder.path().join("monolithicSparse.vmdk")).unwrap();
    for (at, value, said) in [
        (4, 9, "version 9"),
        (12, 1 << 60, "a size in sectors"),
        (12, 1 << 50, "a directory size"),
        (12, 1 << 36, "behind its end"),
        (20, 12, "a grain size"),
        (20, 1 << 40, "a grain size"),
        (28, 1 << 62, "descriptor lies behind its end"),
        (44, 0, "a table size"),
        (44, 1 << 20, "a table size"),
        (56, 1 << 61, "behind its end"),
        (56, u64::MAX, "no footer"),
    ] {
        let mut file = good.clone();
        let width = if matches!(at, 4 | 44) { 4 } else { 8 };
        file[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        let error = use_it(file, 0).err().map(|e| e.to_string());
        assert!(error.as_ref().is_some_and(|e| e.contains(said)), "byte {at}: {error:?} and not {said}");
    }
}

/// Each extent may be large, and not all of them.
#[test]
fn many_extents_with_huge_tables_are_refused_before_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), "monolithicSparse");
    let path = folder.path().join("monolithicSparse.vmdk");
    // 3 million tables of one entry, in a file that is long and empty.
    let mut header = fs::read(&path).unwrap()[..512].to_vec();
    let tables = 3_000_000u64;
    header[12..20].copy_from_slice(&(tables * 128).to_le_bytes());
    header[28..44].fill(0);
    header[44..48].copy_from_slice(&1u32.to_le_bytes());
    header[56..64].copy_from_slice(&1u64.to_le_bytes());
    fs::write(&path, header).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(tables * 4 + 512).unwrap();
    assert_eq!(open(&path).unwrap().disk.size(), tables * 128 * 512);
    let line = format!("RW {} SPARSE \"monolithicSparse.vmdk\"\n", tables * 128);
    fs::write(folder.path().join("many.vmdk"), format!("# Disk DescriptorFile\n{}", line.repeat(500))).unwrap();
    let said = open(&folder.path().join("many.vmdk")).err().unwrap().to_string();
    assert!(said.contains("6000000 tables"), "{said}");
}

#[test]
fn extents_are_files_that_may_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.vmdk");
    fs::write(folder.path().join("short.img"), [0; 512]).unwrap();
    let many = "RW 1 ZERO\n".repeat(600);
    for (extents, said) in [
        ("RW 8 FLAT \"/etc/passwd\" 0", "outside the folder"),
        ("RW 8 FLAT \"../../../../../../../etc/passwd\" 0", "outside the folder"),
        ("RW 8 FLAT \".\" 0", "not a regular file"),
        ("RW 8 FLAT \"short.img\" 0", "shorter than it says"),
        ("RW 1 FLAT \"short.img\" 18446744073709551615", "shorter than it says"),
        ("RW 1 SPARSE \"short.img\"", "no header"),
        ("RW 8 SPARSE \"none.vmdk\"", "No such file"),
        ("RW 18446744073709551615 ZERO\nRW 1 ZERO", "too large"),
        ("RW 8 VMFSSPARSE \"short.img\"", "cannot be read"),
        ("parentCID=12345678\nRW 1 ZERO", "change over another image"),
        (many.as_str(), "600 extents"),
        ("", "0 extents"),
    ] {
        fs::write(&path, format!("# Disk DescriptorFile\n{extents}\n")).unwrap();
        let error = open(&path).err().map(|e| e.to_string());
        assert!(error.as_ref().is_some_and(|e| e.contains(said)), "{extents:.50}: {error:?} and not {said}");
    }
}

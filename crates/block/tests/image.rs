//! Image files: which format they are opened as, what may lie below them, and changes that are thrown away.

use std::fs::{self, File};
use std::io::{IoSlice, IoSliceMut};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;

use block::image::{self, Format, Image, ImageOptions};
use block::qcow2::{self, BackingName, CreateOptions};
use block::{Error, RawDisk, RawOptions, contract};

const MIB: u64 = 1 << 20;

fn raw(path: &Path) {
    File::create(path).unwrap().set_len(MIB).unwrap();
}

fn qcow2(path: &Path, backing: Option<(&str, Option<&str>)>) {
    File::create(path).unwrap();
    let store = RawDisk::open(path, RawOptions::default()).unwrap();
    let name = |(name, format): (&str, Option<&str>)| BackingName { name: name.into(), format: format.map(Into::into) };
    qcow2::create(&store, &CreateOptions { backing: backing.map(name), ..CreateOptions::new(MIB) }).unwrap();
}

fn open(path: &Path, format: Option<Format>) -> Result<Image, Error> {
    Image::open(path, &ImageOptions { format, ..ImageOptions::default() })
}

fn refused(path: &Path, format: Option<Format>, said: &str) {
    let error = open(path, format).err().unwrap_or_else(|| panic!("{path:?} opened")).to_string();
    assert!(error.contains(said) && error.contains(&*path.file_name().unwrap().to_string_lossy()), "{error}");
}

#[test]
fn the_format_is_what_is_said_or_named_and_never_what_the_contents_look_like() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    raw(&path("a.img"));
    assert_eq!(open(&path("a.img"), None).unwrap().format, Format::Raw);
    qcow2(&path("b.QCOW2"), None);
    assert_eq!(open(&path("b.QCOW2"), None).unwrap().format, Format::Qcow2);
    qcow2(&path("c"), None);
    assert_eq!(open(&path("c"), Some(Format::Qcow2)).unwrap().format, Format::Qcow2);
    // What a guest writes into its raw disk is in the way, and is not followed.
    refused(&path("c"), None, "say format=qcow2 if you made it so, or format=raw");
    assert_eq!(open(&path("c"), Some(Format::Raw)).unwrap().disk.size(), fs::metadata(path("c")).unwrap().len());
    raw(&path("d.qcow2"));
    refused(&path("d.qcow2"), None, "has no qcow2 header");
    assert_eq!(open(&path("d.qcow2"), Some(Format::Raw)).unwrap().format, Format::Raw);
    refused(&path("a.img"), Some(Format::Qcow2), "has no qcow2 header");
    raw(&path("e.vdi"));
    refused(&path("e.vdi"), None, "cannot be read");
    raw(&path("f.vhdx"));
    refused(&path("f.vhdx"), Some(Format::Vhdx), "has no vhdx header");
}

#[test]
fn files_below_are_those_that_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("sub")).unwrap();
    let path = |name: &str| dir.path().join(name);
    raw(&path("base.img"));
    raw(&path("sub/base.img"));
    raw(&outside.path().join("secret.img"));
    std::os::unix::fs::symlink(outside.path().join("secret.img"), path("link.img")).unwrap();
    let secret = outside.path().join("secret.img");
    for (name, format, said) in [
        ("base.img", Some("raw"), None),
        ("sub/base.img", Some("raw"), None),
        ("file:base.img", Some("raw"), None),
        ("base.img", None, Some("does not say which format")),
        ("base.img", Some("vdi"), Some("only raw, qcow2, vmdk and vhdx")),
        ("base.img", Some("qcow2"), Some("has no qcow2 header")),
        (secret.to_str().unwrap(), Some("raw"), Some("outside the folder")),
        ("link.img", Some("raw"), Some("outside the folder")),
        ("../../../../../../etc/passwd", Some("raw"), Some("outside the folder")),
        ("sub", Some("raw"), Some("not a regular file")),
        ("nbd://localhost/x", Some("raw"), Some("no path of a file")),
        ("json:{}", Some("raw"), Some("no path of a file")),
        ("top.qcow2", Some("qcow2"), Some("above itself")),
        ("none.img", Some("raw"), Some("No such file")),
    ] {
        qcow2(&path("top.qcow2"), Some((name, format)));
        let got = open(&path("top.qcow2"), None).map(|image| image.below.len()).map_err(|e| e.to_string());
        match said {
            None => assert_eq!(got, Ok(1), "{name}"),
            Some(said) => assert!(got.as_ref().is_err_and(|e| e.contains(said)), "{name}: {got:?}"),
        }
    }
    qcow2(&path("top.qcow2"), Some((secret.to_str().unwrap(), Some("raw"))));
    let allowed = vec![outside.path().to_owned()];
    let image = Image::open(&path("top.qcow2"), &ImageOptions { allowed, ..ImageOptions::default() }).unwrap();
    assert_eq!(image.below[0].path, secret.canonicalize().unwrap());
}

#[test]
fn loops_and_endless_chains_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = |i: usize| dir.path().join(format!("{i}.qcow2"));
    qcow2(&path(0), Some(("1.qcow2", Some("qcow2"))));
    qcow2(&path(1), Some(("0.qcow2", Some("qcow2"))));
    assert!(open(&path(0), None).err().unwrap().to_string().contains("above itself"));
    for i in 0..40 {
        qcow2(&path(i), Some((&format!("{}.qcow2", i + 1), Some("qcow2"))));
    }
    assert!(open(&path(0), None).err().unwrap().to_string().contains("more than 32"));
}

#[test]
fn what_is_written_to_a_snapshot_is_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.img");
    let bytes = contract::Random::new(1).bytes(3 * MIB as usize);
    fs::write(&path, &bytes).unwrap();
    let options = ImageOptions { snapshot: true, ..ImageOptions::default() };
    let image = Image::open(&path, &options).unwrap();
    // Others may do the same at the same time.
    let another = Image::open(&path, &options).unwrap();
    contract::operations(&*image.disk, 1, 300);
    contract::threads(&*another.disk, 2, 50);
    contract::extents(&*image.disk);
    assert!(open(&path, None).is_err(), "the image can be written while others stand on it");
    drop((image, another));
    assert!(fs::read(&path).unwrap() == bytes);
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["root.img"]);
}

#[test]
fn copies_commits_and_rebases_keep_every_byte() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let mut go_on = |_| std::ops::ControlFlow::Continue(());
    let mut random = contract::Random::new(5);
    for name in ["base.img", "other.img"] {
        let mut bytes = random.bytes(MIB as usize);
        bytes[100_000..700_000].fill(0);
        fs::write(path(name), bytes).unwrap();
    }
    qcow2(&path("top.qcow2"), Some(("base.img", Some("raw"))));
    let top = Image::open(&path("top.qcow2"), &ImageOptions { write_below: true, ..ImageOptions::default() }).unwrap();
    for _ in 0..10 {
        let (offset, len) = random.range(MIB, 50_000);
        top.disk.write(offset, &[IoSlice::new(&random.bytes(len as usize))]).unwrap();
    }
    top.disk.write_zeroes(0, 200_000, true).unwrap();
    // A copy.
    raw(&path("copy.img"));
    let copy = open(&path("copy.img"), None).unwrap();
    image::copy(&*top.disk, &*copy.disk, &mut go_on).unwrap();
    assert_eq!(image::first_difference(&top, &copy, &mut go_on).unwrap(), None);
    // Above another image it reads the same.
    let other = open(&path("other.img"), None).unwrap();
    image::keep_above(top.qcow2.as_ref().unwrap(), Some(&*other.disk), &mut go_on).unwrap();
    // A commit.
    image::commit(top.qcow2.as_ref().unwrap(), &**top.lower.as_ref().unwrap(), &mut go_on).unwrap();
    drop((top, other));
    let base = open(&path("base.img"), None).unwrap();
    assert_eq!(image::first_difference(&base, &copy, &mut go_on).unwrap(), None);
    // And to stop at any time.
    let stopped = image::copy(&*base.disk, &*copy.disk, &mut |_| std::ops::ControlFlow::Break(()));
    assert!(matches!(stopped, Err(Error::Cancelled)));
}

#[test]
fn a_file_is_copied_whole_and_a_stopped_copy_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    // A size that no disk has, data with holes around it, and less than is worth looking for holes.
    for size in [3 * MIB + 777, MIB / 2] {
        fs::write(path("from"), vec![0; size as usize]).unwrap();
        let file = File::options().write(true).open(path("from")).unwrap();
        file.write_all_at(&[7; 5000], size - 6000).unwrap();
        let mut told = 0;
        image::copy_file(&path("from"), &path("to"), &mut |done| {
            told = done;
            ControlFlow::Continue(())
        })
        .unwrap();
        assert!(fs::read(path("to")).unwrap() == fs::read(path("from")).unwrap() && told <= size);
        assert!(matches!(
            image::copy_file(&path("from"), &path("to"), &mut |_| ControlFlow::Continue(())),
            Err(Error::Open { .. })
        ));
        fs::remove_file(path("to")).unwrap();
    }
    fs::write(path("from"), vec![7; 3 << 20]).unwrap();
    let stopped = image::copy_file(&path("from"), &path("to"), &mut |_| ControlFlow::Break(()));
    // Where blocks are shared there is nothing to stop.
    assert!(matches!(stopped, Err(Error::Cancelled) | Ok(())), "{stopped:?}");
}

#[test]
fn an_overlay_reads_as_what_is_below() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("below.img"), vec![7; MIB as usize]).unwrap();
    let below = BackingName { name: "below.img".into(), format: Some("raw".into()) };
    image::overlay(&path("top.qcow2"), below.clone(), 2 * MIB).unwrap();
    assert!(matches!(image::overlay(&path("top.qcow2"), below, MIB), Err(Error::Open { .. })), "it is there");
    let top = open(&path("top.qcow2"), None).unwrap();
    let mut read = vec![0; 2 * MIB as usize];
    top.disk.read(0, &mut [IoSliceMut::new(&mut read)]).unwrap();
    assert!(read[..MIB as usize].iter().all(|byte| *byte == 7) && read[MIB as usize..].iter().all(|byte| *byte == 0));
}

//! Drives that are plugged in while the machine runs.

use config::{Machine, Storage};
use vz::{DiskDevice, DiskSource, Drive, Helper, Version, plan_drive};

use crate::hosts::mac;
use crate::machine;

/// A machine, and its first disk, which is not there yet.
fn taken_out(storage: &str) -> (Machine, Storage) {
    let text = format!("bootloader = {{ kind = \"linux\", kernel = \"Image\" }}\nstorage = [{storage}]");
    let mut machine = machine(&text);
    let storage = machine.storage.remove(0);
    (machine, storage)
}

fn planned(storage: &str, macos: Version) -> Result<Drive, String> {
    let (machine, storage) = taken_out(storage);
    let problems = |problems: Vec<config::Problem>| problems.iter().map(|problem| format!("{problem}\n")).collect();
    plan_drive(&machine, &storage, &mac(macos)).map_err(problems)
}

const SEQUOIA: Version = Version::new(15, 0);

#[test]
fn a_raw_image_needs_no_helper() {
    let drive = planned(r#"{ kind = "usb-mass-storage", path = "a.img", readonly = true }"#, SEQUOIA).expect("a drive");
    assert_eq!(drive.disk.device, DiskDevice::UsbMassStorage { id: None });
    assert!(drive.disk.read_only && drive.helpers.is_empty() && drive.warnings.is_empty());
}

#[test]
fn what_the_framework_cannot_open_is_served_by_the_first_helper() {
    let drive = planned(r#"{ kind = "usb-mass-storage", path = "a.qcow2" }"#, SEQUOIA).expect("a drive");
    assert!(matches!(drive.disk.source, DiskSource::Served { helper: 0, .. }));
    assert!(matches!(drive.helpers[..], [Helper::NbdServer { .. }]));
}

#[test]
fn what_cannot_be_plugged_in_is_refused() {
    insta::assert_snapshot!(planned(r#"{ kind = "virtio-blk", path = "a.img" }"#, SEQUOIA).expect_err("a refusal"));
    let old = planned(r#"{ kind = "usb-mass-storage", path = "a.img" }"#, Version::new(14, 0));
    insta::assert_snapshot!(old.expect_err("a refusal"));
}

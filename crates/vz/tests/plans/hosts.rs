//! Macs, and what a plan says to what they lack.

use vz::{Entitlements, Host, Rosetta, Version};

use crate::{machine, outcome};

/// A Mac that lacks nothing.
pub(crate) fn mac(macos: Version) -> Host {
    Host {
        macos,
        apple_silicon: true,
        supported: true,
        cpus: 1..=10,
        memory: 128..=32768,
        entitlements: Entitlements { virtualization: true, networking: true },
        rosetta: Rosetta::Installed,
        nested: true,
        bridged: vec!["en0".to_owned(), "en1".to_owned()],
        macos_guests: vec!["one".to_owned()],
    }
}

/// What is said about `text` on a Mac of macOS 15 to which `change` was done.
fn said(text: &str, change: impl FnOnce(&mut Host)) -> String {
    let mut host = mac(Version::new(15, 0));
    change(&mut host);
    outcome(&machine(text), &host)
}

const LINUX: &str = "bootloader = { kind = \"linux\", kernel = \"Image\" }";

#[test]
fn a_program_without_the_right_is_told_the_command_that_mends_it() {
    let said = said(LINUX, |host| host.entitlements = Entitlements::default());
    insta::assert_snapshot!(said);
}

#[test]
fn an_intel_mac_is_refused() {
    let said = said(LINUX, |host| host.apple_silicon = false);
    insta::assert_snapshot!(said);
}

#[test]
fn a_mac_on_which_the_framework_does_not_work_is_refused() {
    let said = said(LINUX, |host| host.supported = false);
    insta::assert_snapshot!(said);
}

#[test]
fn cpus_and_memory_are_held_against_what_the_host_allows() {
    let text = format!("cpus = 4\nmemory = 4096\n{LINUX}");
    let said = said(&text, |host| (host.cpus, host.memory) = (1..=2, 128..=2048));
    insta::assert_snapshot!(said);
}

#[test]
fn bridges_need_the_right_and_an_interface() {
    let text = format!("{LINUX}\nnetwork = [{{ bridged = \"en7\" }}]");
    let unsigned = said(&text, |host| host.entitlements.networking = false);
    let other = said(&text, |_| ());
    let none = said(&text, |host| host.bridged.clear());
    insta::assert_snapshot!(format!("{unsigned}{other}{none}"));
}

#[test]
fn rosetta_is_installed_left_out_or_refused() {
    let mut lines = String::new();
    for state in [Rosetta::Installed, Rosetta::NotInstalled, Rosetta::NotSupported] {
        for option in ["", ", install = true", ", ignore-if-missing = true"] {
            let text = format!("{LINUX}\nshare = [{{ kind = \"rosetta\", mount-tag = \"r\"{option} }}]");
            let said = said(&text, |host| host.rosetta = state);
            let about = said.lines().filter(|line| line.contains("osetta")).collect::<Vec<_>>().join(" ");
            lines.push_str(&format!("{state:?}{option}: {}\n", about.trim()));
        }
    }
    insta::assert_snapshot!(lines);
}

#[test]
fn a_third_macos_guest_is_refused_with_the_names_of_those_that_run() {
    let text = "memory = 8192\nbootloader = { kind = \"macos\" }\nplatform = { kind = \"mac\", \
                machine-identifier = \"id\", hardware-model = \"model\", auxiliary-storage = \"aux\" }";
    let third = said(text, |host| host.macos_guests.push("two".to_owned()));
    insta::assert_snapshot!(third);
    assert!(said(text, |_| ()).contains("VZMacOSBootLoader"));
    assert!(said(LINUX, |host| host.macos_guests.push("two".to_owned())).contains("VZLinuxBootLoader"));
}

#[test]
fn nested_virtualization_needs_a_chip_that_can() {
    let said = said(&format!("nested = true\n{LINUX}"), |host| host.nested = false);
    insta::assert_snapshot!(said);
}

#[test]
fn a_state_is_saved_of_a_machine_that_stays_the_same_on_a_mac_that_saves() {
    let saves = |text: &str, macos| vz::plan(&machine(text), &mac(macos)).expect("a plan").saves;
    let (named, sonoma) = ("platform = { kind = \"generic\", machine-identifier = \"id\" }", Version::new(14, 0));
    assert_eq!(saves(&format!("{named}\n{LINUX}"), sonoma), Ok(()));
    let old = saves(&format!("{named}\n{LINUX}"), Version::new(13, 0)).expect_err("a reason");
    assert!(old.contains("came with macOS 14, and this Mac has macOS 13"), "{old}");
    let nameless = saves(LINUX, sonoma).expect_err("a reason");
    assert!(nameless.contains("without a `machine-identifier`"), "{nameless}");
}

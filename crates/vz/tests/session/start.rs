//! Starts with options: for which machines and Macs there are any.

use config::Machine;
use vz::{Command, Entitlements, Host, Notice, Provisioning, Rosetta, Signal, StartOptions, State, Version};

const MACOS: &str = "bootloader = { kind = \"macos\" }\nplatform = { kind = \"mac\", machine-identifier = \"i\", \
                     hardware-model = \"h\", auxiliary-storage = \"a\" }";
const LINUX: &str = "bootloader = { kind = \"linux\", kernel = \"Image\" }";

fn machine(text: &str) -> Machine {
    Machine::from_toml(text).expect("a machine")
}

fn host(macos: Version) -> Host {
    Host {
        macos,
        apple_silicon: true,
        supported: true,
        cpus: 1..=8,
        memory: 128..=16384,
        entitlements: Entitlements { virtualization: true, networking: false },
        rosetta: Rosetta::NotSupported,
        nested: false,
        bridged: Vec::new(),
        macos_guests: Vec::new(),
    }
}

fn said(text: &str, macos: Version, recovery: bool) -> Option<String> {
    StartOptions { recovery }.check(&machine(text), &host(macos)).err().map(|problem| problem.to_string())
}

#[test]
fn recovery_is_for_macos_guests_on_a_mac_that_has_the_option() {
    let (ventura, monterey) = (Version::new(13, 0), Version::new(12, 6));
    assert_eq!(said(MACOS, ventura, true), None);
    assert_eq!(said(MACOS, monterey, false), None);
    assert_eq!(said(LINUX, monterey, false), None);
    let old = said(MACOS, monterey, true).expect("a problem");
    assert!(old.contains("came with macOS 13, and this Mac has macOS 12.6"), "{old}");
    let linux = said(LINUX, ventura, true).expect("a problem");
    assert!(linux.contains("only macOS guests"), "{linux}");
}

fn account(password: &str) -> Provisioning {
    Provisioning {
        full_name: "Ada".to_owned(),
        username: "ada".to_owned(),
        password: password.to_owned(),
        logs_in_automatically: true,
        enables_remote_login: true,
    }
}

#[test]
fn an_account_is_for_macos_guests_on_a_mac_that_makes_them() {
    let check = |text: &str, macos: Version, password: &str| {
        account(password).check(&machine(text), &host(macos)).err().map(|problem| problem.to_string())
    };
    let (young, old) = (Version::new(27, 0), Version::new(26, 0));
    assert_eq!(check(MACOS, young, "secret"), None);
    assert!(check(MACOS, old, "secret").expect("a problem").contains("came with macOS 27"));
    assert!(check(LINUX, young, "secret").expect("a problem").contains("only macOS guests"));
    assert!(check(MACOS, young, "").expect("a problem").contains("a password"));
}

#[test]
fn a_password_is_not_shown() {
    let (command, call) = (Command::Provision(account("secret")), vz::Call::Provision(account("secret")));
    let signal = Signal::Done(call.clone(), Err("no".to_owned()));
    let notices = [Notice::Refused(command.clone(), State::Running), Notice::Failed(call.clone(), "no".to_owned())];
    for shown in
        [format!("{:?}", account("secret")), format!("{command:?}"), format!("{call:#?}"), format!("{signal:?}")]
    {
        assert!(shown.contains("ada") && !shown.contains("secret"), "{shown}");
    }
    assert!(!format!("{notices:#?}").contains("secret"));
}

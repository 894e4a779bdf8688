//! The proof that the check of types sees mistakes in code for Macs, which nothing here can run: in a copy of the workspace
//! one is made after another, and the compiler must refuse each, there and for the reason that it is one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::types::cargo_for;
use crate::mac::TARGET;
use crate::shell::{self, say};

/// What is made wrong.
struct Mistake {
    what: &'static str,
    /// Below `crates/vz/src/sys`.
    file: &'static str,
    right: &'static str,
    wrong: &'static str,
    /// The compiler's name for it.
    error: &'static str,
}

const MISTAKES: [Mistake; 7] = [
    Mistake {
        what: "an object of another class",
        file: "devices.rs",
        right: "card.setAttachment(Some(&attachment));",
        wrong: "card.setAttachment(Some(&vz::VZMACAddress::new()));",
        error: "E0308",
    },
    Mistake {
        what: "a method that the class does not have",
        file: "devices.rs",
        right: "card.setMACAddress(&address);",
        wrong: "card.setAddress(&address);",
        error: "E0599",
    },
    Mistake {
        what: "an argument too few",
        file: "devices.rs",
        right: "&file_url(path), *append)",
        wrong: "&file_url(path))",
        error: "E0061",
    },
    Mistake {
        what: "a completion handler that takes something else",
        file: "machine.rs",
        right: "RcBlock::new(move |error: *mut NSError| {",
        wrong: "RcBlock::new(move |error: *mut vz::VZMACAddress| {",
        error: "E0308",
    },
    Mistake {
        what: "an object that leaves its queue",
        file: "machine.rs",
        right: "unsafe impl Send for ForView {}",
        wrong: "",
        error: "E0277",
    },
    Mistake {
        what: "a method of the delegate with another argument",
        file: "delegate.rs",
        right: "fn did_stop_with_error(&self, _machine: &vz::VZVirtualMachine, error: &NSError) {",
        wrong: "fn did_stop_with_error(&self, _machine: &vz::VZVirtualMachine, error: &str) {",
        error: "E0277",
    },
    Mistake {
        what: "an address that a function of C does not take",
        file: "vmnet.rs",
        right: "let (host, mask) = (ipv4(host), ipv4(mask));",
        wrong: "let (host, mask) = (host, mask);",
        error: "E0308",
    },
];

pub(super) fn run() -> Result<()> {
    if cargo_for(TARGET)?.is_none() {
        say(&format!("NOT CHECKED: no standard library for {TARGET} here; to have it: rustup target add {TARGET}"));
        return Ok(());
    }
    let copy = copy_of_workspace()?;
    for mistake in &MISTAKES {
        let file = format!("crates/vz/src/sys/{}", mistake.file);
        let path = copy.join(&file);
        let source = fs::read_to_string(&path).with_context(|| file.clone())?;
        ensure!(
            source.matches(mistake.right).count() == 1,
            "{file}: `{}` is not there once: choose another for xtask/src/ci/mistakes.rs",
            mistake.right
        );
        fs::write(&path, source.replace(mistake.right, mistake.wrong))?;
        let said = check(&copy)?;
        fs::write(&path, source)?;
        let expected = format!("error[{}]", mistake.error);
        ensure!(
            said.lines().any(|line| line.starts_with(&file) && line.contains(&expected)),
            "{file}: {} was not refused with {}:\n{said}",
            mistake.what,
            mistake.error
        );
        say(&format!("refused with {}: {} ({})", mistake.error, mistake.what, mistake.file));
    }
    Ok(())
}

/// What the compiler says of the crate in the copy.
fn check(copy: &Path) -> Result<String> {
    let mut cargo = cargo_for(TARGET)?.context("the standard library is gone")?;
    cargo.current_dir(copy);
    cargo.args(["check", "--package", "russet-vz", "--target", TARGET, "--message-format", "short", "--target-dir"]);
    let output = cargo.arg(shell::target().join("types")).output()?;
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A copy of all that cargo needs to check a crate, made anew.
fn copy_of_workspace() -> Result<PathBuf> {
    let copy = shell::target().join("mistakes");
    if copy.exists() {
        fs::remove_dir_all(&copy)?;
    }
    fs::create_dir_all(&copy)?;
    for name in ["Cargo.toml", "Cargo.lock", "crates", "xtask"] {
        copy_all(&shell::workspace().join(name), &copy.join(name)).with_context(|| name.to_owned())?;
    }
    Ok(copy)
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        fs::copy(from, to)?;
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        copy_all(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}

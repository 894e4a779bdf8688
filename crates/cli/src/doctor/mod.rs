//! `russet doctor`: which engines work on this host, and why the others do not; and on a Mac, what it gives to guests.

mod mac;

use std::time::Duration;

use ::config::{Engine, HostFacts};
use serde::Serialize;
use serde_json::json;
use vm::ThisHost;

use self::mac::Mac;
use crate::failure::{Failure, Status};
use crate::say::print;

/// The longest that the trial of an engine takes.
const TRIAL_LIMIT: Duration = Duration::from_secs(2);

/// What was found about an engine.
#[derive(Debug, Serialize)]
struct Finding {
    engine: Engine,
    usable: bool,
    /// What it does here, or why it does nothing.
    reason: String,
}

pub(crate) fn execute(json: bool) -> Result<(), Failure> {
    let mac = mac::facts();
    let findings: Vec<Finding> = Engine::ALL.into_iter().map(|engine| examine(engine, mac.as_ref())).collect();
    if json {
        let host = json!({
            "os": std::env::consts::OS,
            "arch": std::env::consts::ARCH,
            "cpus": ThisHost.cpus(),
            "memory": ThisHost.memory(),
        });
        let mut all = json!({ "host": host, "engines": findings });
        if let Some(mac) = &mac {
            all["mac"] = mac.to_json();
        }
        print(&all.to_string());
    } else {
        let memory = ThisHost.memory().map(|mib| format!(", {mib} MiB")).unwrap_or_default();
        print(&format!(
            "host: {} on {}, {} CPUs{memory}",
            std::env::consts::OS,
            std::env::consts::ARCH,
            ThisHost.cpus()
        ));
        for Finding { engine, usable, reason } in &findings {
            let mark = if *usable { "usable" } else { "not usable" };
            print(&format!("{:<5} {mark:<11} {reason}", engine.name()));
        }
        if let Some(mac) = &mac {
            print(mac.to_string().trim_end());
        }
    }
    match findings.iter().any(|finding| finding.usable) {
        true => Ok(()),
        false => Err(Failure::new(Status::Host, "no engine can run machines on this host")),
    }
}

/// Tries an engine.
fn examine(engine: Engine, mac: Option<&Mac>) -> Finding {
    let (usable, reason) = match engine {
        Engine::Soft => soft(),
        Engine::Kvm => kvm(),
        Engine::Vz => vz(mac),
    };
    Finding { engine, usable, reason }
}

fn soft() -> (bool, String) {
    match cfg!(all(target_pointer_width = "64", target_endian = "little")) {
        true => (true, "arm64 guests on our software CPU; needs nothing of the host".to_owned()),
        false => (false, "the software CPU needs a 64-bit little-endian host".to_owned()),
    }
}

fn kvm() -> (bool, String) {
    match hv::kvm::probe(TRIAL_LIMIT) {
        Ok(()) => (Engine::Kvm.is_built(), "a trial guest ran; machines on KVM are not in this version".to_owned()),
        Err(hv::Error::Unusable { reason, .. }) => (false, reason),
        Err(error) => (false, error.to_string()),
    }
}

fn vz(mac: Option<&Mac>) -> (bool, String) {
    match mac.map(Mac::lacks) {
        None => (false, "Apple's Virtualization.framework is only on macOS".to_owned()),
        Some(None) => (true, "arm64 guests through Apple's Virtualization.framework".to_owned()),
        Some(Some(reason)) => (false, reason),
    }
}

//! What a Mac gives to guests: facts, and how they are told.

use std::fmt;

use serde_json::{Value, json};
use vm::{MacosGuest, MacosGuests};
use vz::{Api, Host, MACOS_GUESTS, Rosetta};

/// What is known of this Mac.
#[derive(Debug, Clone)]
pub(super) struct Mac {
    host: Host,
    guests: Vec<MacosGuest>,
}

/// Those of this host, if it is a Mac.
pub(super) fn facts() -> Option<Mac> {
    let host = vm::mac_host()?;
    // Without a home folder there are no guests of this user's either.
    let guests = MacosGuests::of_user().map(|guests| guests.running()).unwrap_or_default();
    Some(Mac { host, guests })
}

impl Mac {
    /// Why no machine runs on the framework here, and how to mend it.
    pub(super) fn lacks(&self) -> Option<String> {
        // The least that a machine can be: what is refused of it is refused of all.
        let least = format!(
            "cpus = {}\nmemory = {}\n[bootloader]\nkind = \"linux\"\nkernel = \"Image\"",
            self.host.cpus.start(),
            self.host.memory.start()
        );
        let machine = ::config::Machine::from_toml(&least).ok()?;
        let problems = vz::plan(&machine, &self.host).err()?;
        Some(
            problems.iter().map(|problem| format!("{}: {}", problem.what, problem.mend)).collect::<Vec<_>>().join("; "),
        )
    }

    /// What came with a later macOS than this one's.
    fn missing(&self) -> impl Iterator<Item = Api> + '_ {
        Api::ALL.iter().copied().filter(|api| api.since() > self.host.macos)
    }

    /// For programs.
    pub(super) fn to_json(&self) -> Value {
        let Host { macos, apple_silicon, cpus, memory, entitlements, nested, bridged, .. } = &self.host;
        let feature = |api: &Api| json!({ "name": api.name(), "since": api.since().to_string(), "for": api.purpose() });
        json!({
            "macos": format!("{}.{}", macos.major, macos.minor),
            "apple-silicon": apple_silicon,
            "cpus": [cpus.start(), cpus.end()],
            "memory": [memory.start(), memory.end()],
            "entitlements": {
                "com.apple.security.virtualization": entitlements.virtualization,
                "com.apple.vm.networking": entitlements.networking,
            },
            "rosetta": rosetta(self.host.rosetta),
            "nested": nested,
            "bridged": bridged,
            "macos-guests": self.guests.iter().map(guest).collect::<Vec<_>>(),
            "macos-guests-allowed": MACOS_GUESTS,
            "missing": self.missing().map(|api| feature(&api)).collect::<Vec<_>>(),
        })
    }
}

fn guest(guest: &MacosGuest) -> Value {
    json!({ "name": guest.name, "pid": guest.process })
}

fn rosetta(state: Rosetta) -> &'static str {
    match state {
        Rosetta::NotSupported => "not for this Mac",
        Rosetta::NotInstalled => "not installed",
        Rosetta::Installed => "installed",
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Host { macos, apple_silicon, cpus, memory, entitlements, nested, bridged, .. } = &self.host;
        let mut line = |name: &str, value: &str| writeln!(f, "  {name:<13} {value}");
        let chip = if *apple_silicon { "Apple silicon" } else { "Intel" };
        line("Mac", &format!("{macos}, {chip}"))?;
        let (cpus, memory) = ((cpus.start(), cpus.end()), (memory.start(), memory.end()));
        line("a guest has", &format!("{} to {} CPUs, {} to {} MiB", cpus.0, cpus.1, memory.0, memory.1))?;
        line(
            "signed for",
            match (entitlements.virtualization, entitlements.networking) {
                (false, _) => "nothing: no machine runs",
                (true, false) => "virtualization; not for bridged networks, which Apple grants on request",
                (true, true) => "virtualization and bridged networks",
            },
        )?;
        let how = if self.host.rosetta == Rosetta::NotInstalled { ": softwareupdate --install-rosetta" } else { "" };
        line("Rosetta", &format!("{}{how}", rosetta(self.host.rosetta)))?;
        line(
            "nested",
            if *nested { "guests can virtualize" } else { "no guest can virtualize: that needs an M3 and macOS 15" },
        )?;
        line("bridges", &if bridged.is_empty() { "none".to_owned() } else { bridged.join(", ") })?;
        let running: Vec<_> = self.guests.iter().map(ToString::to_string).collect();
        let running = if running.is_empty() { String::new() } else { format!(": {}", running.join(", ")) };
        line("macOS guests", &format!("{} of {MACOS_GUESTS} run{running}", self.guests.len()))?;
        let mut missing: Vec<_> = self.missing().collect();
        missing.sort_by_key(|api| api.since());
        if missing.is_empty() {
            return line("features", "all that Russet knows");
        }
        line("features", &format!("all but {}, which came later:", missing.len()))?;
        missing.iter().try_for_each(|api| {
            let since = api.since().to_string();
            writeln!(f, "    {since:<11} {} ({})", api.purpose(), api.name())
        })
    }
}

#[cfg(test)]
mod tests {
    use vz::{Entitlements, Version};

    use super::*;

    fn mac() -> Mac {
        let host = Host {
            macos: Version::new(27, 0),
            apple_silicon: true,
            supported: true,
            cpus: 1..=16,
            memory: 128..=65536,
            entitlements: Entitlements { virtualization: true, networking: true },
            rosetta: Rosetta::Installed,
            nested: true,
            bridged: vec!["en0".into(), "en1".into()],
            macos_guests: Vec::new(),
        };
        let guest = |name: &str, process| MacosGuest { name: name.into(), process: Some(process) };
        Mac { host, guests: vec![guest("sonoma", 501), guest("tahoe", 502)] }
    }

    fn older() -> Mac {
        let host = Host {
            macos: Version::new(14, 5),
            cpus: 1..=8,
            memory: 128..=16384,
            entitlements: Entitlements { virtualization: true, networking: false },
            rosetta: Rosetta::NotInstalled,
            nested: false,
            bridged: Vec::new(),
            ..mac().host
        };
        Mac { host, guests: Vec::new() }
    }

    #[test]
    fn macs_are_described() {
        insta::assert_snapshot!("new", mac());
        insta::assert_snapshot!("older", older());
    }

    #[test]
    fn what_keeps_the_framework_from_working_is_said_with_its_mend() {
        assert_eq!(mac().lacks(), None);
        assert_eq!(older().lacks(), None);
        let with = |change: fn(&mut Host)| {
            let mut mac = older();
            change(&mut mac.host);
            format!("{}\n{mac}", mac.lacks().unwrap())
        };
        let unsigned = with(|host| host.entitlements = Entitlements::default());
        insta::assert_snapshot!("unsigned", unsigned.lines().take(4).collect::<Vec<_>>().join("\n"));
        let intel = with(|host| (host.apple_silicon, host.macos) = (false, Version::new(10, 15)));
        insta::assert_snapshot!("intel", intel.lines().take(2).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn programs_get_the_same_facts() {
        let told = older().to_json();
        assert_eq!((&told["macos"], &told["rosetta"]), (&json!("14.5"), &json!("not installed")));
        let missing: Vec<_> = told["missing"].as_array().unwrap().iter().map(|api| api["since"].clone()).collect();
        assert!(!missing.is_empty() && missing.iter().all(|since| since != "macOS 14"), "{missing:?}");
        assert_eq!(mac().to_json()["macos-guests"][1], json!({ "name": "tahoe", "pid": 502 }));
        assert_eq!(mac().to_json()["missing"], json!([]));
    }
}

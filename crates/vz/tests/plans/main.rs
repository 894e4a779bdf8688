//! Plans over configurations and versions of macOS, as snapshots for people to read; and what must hold for all.

mod drives;
mod hosts;
mod machines;
mod options;
mod shares;
mod table;

use config::{Machine, Severity};
use vz::{Api, Version, plan};

use crate::hosts::mac;
use crate::machines::MACHINES;

/// Every version in which the framework gained something that a plan can ask for, and those right before.
pub(crate) const VERSIONS: [Version; 12] = [
    Version::new(10, 15),
    Version::new(11, 0),
    Version::new(11, 7),
    Version::new(12, 0),
    Version::new(12, 2),
    Version::new(12, 3),
    Version::new(13, 0),
    Version::new(14, 0),
    Version::new(15, 0),
    Version::new(15, 7),
    Version::new(26, 0),
    Version::new(27, 0),
];

pub(crate) fn machine(text: &str) -> Machine {
    Machine::from_toml(text).unwrap_or_else(|problems| panic!("{text}\n{problems:?}"))
}

/// The plan, or why there is none.
pub(crate) fn outcome(machine: &Machine, host: &vz::Host) -> String {
    match plan(machine, host) {
        Ok(plan) => plan.to_string(),
        Err(problems) => problems.iter().map(|problem| format!("{problem}\n")).collect(),
    }
}

#[test]
fn each_machine_on_each_macos() {
    for (name, text) in MACHINES {
        let machine = machine(text);
        let mut shown: Vec<(String, String)> = Vec::new();
        for version in VERSIONS {
            let now = outcome(&machine, &mac(version));
            match shown.last_mut() {
                // What says only which version there is differs in nothing else.
                Some((versions, last)) if *last == now => versions.push_str(&format!(", {version}")),
                _ => shown.push((version.to_string(), now)),
            }
        }
        let text: Vec<_> = shown.into_iter().map(|(versions, text)| format!("== {versions}\n{text}")).collect();
        insta::assert_snapshot!(*name, text.join("\n"));
    }
}

#[test]
fn a_plan_asks_for_nothing_that_its_macos_has_not() {
    for (name, text) in MACHINES {
        let machine = machine(text);
        for version in VERSIONS {
            let Ok(plan) = plan(&machine, &mac(version)) else { continue };
            let young: Vec<_> = plan.apis().into_iter().filter(|api| api.since() > version).collect();
            assert!(young.is_empty(), "{name} on {version}: {young:?}");
            assert!(plan.warnings.iter().all(|warning| warning.severity == Severity::Warning));
        }
    }
}

#[test]
fn a_newer_macos_never_does_less() {
    for (name, text) in MACHINES {
        let machine = machine(text);
        let works: Vec<_> = VERSIONS.iter().map(|version| plan(&machine, &mac(*version)).is_ok()).collect();
        assert!(works.is_sorted(), "{name}: {works:?}");
    }
}

/// What is no plan's: how a machine is started, what comes before there is one, and what happens to it.
const BESIDE: [Api; 6] =
    [Api::CardPlug, Api::StartOptions, Api::Provisioning, Api::RestoreImage, Api::InstallRequirements, Api::Installer];

#[test]
fn everything_in_the_list_is_asked_for_by_some_plan() {
    let plans = MACHINES.iter().flat_map(|(_, text)| {
        VERSIONS.iter().filter_map(|version| plan(&machine(text), &mac(*version)).ok()).collect::<Vec<_>>()
    });
    let mut asked: Vec<Api> = plans.flat_map(|plan| plan.apis()).collect();
    assert!(BESIDE.iter().all(|api| !asked.contains(api)));
    asked.extend(BESIDE);
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked, Api::ALL);
}

#[test]
fn every_refusal_says_where_and_how_to_mend_it() {
    for (name, text) in MACHINES {
        for version in VERSIONS {
            let machine = machine(text);
            let problems = plan(&machine, &mac(version)).map_or_else(|problems| problems, |plan| plan.warnings);
            for problem in problems {
                let said = [&problem.path, &problem.what, &problem.mend].iter().all(|text| !text.is_empty());
                assert!(said, "{name} on {version}: {problem:?}");
            }
        }
    }
}

//! No option is passed over in silence: without it, the plan or what is refused is another.

use std::collections::BTreeSet;

use toml::Value;
use vz::{Helper, Version, plan};

use crate::hosts::mac;
use crate::machines::MACHINES;
use crate::{machine, outcome};

/// The paths of all keys that hold no table, as keys and indices.
fn leaves(value: &Value, path: &[String], found: &mut Vec<Vec<String>>) {
    let below = |name: String| [path, &[name]].concat();
    match value {
        Value::Table(table) => table.iter().for_each(|(key, value)| leaves(value, &below(key.clone()), found)),
        Value::Array(array) if array.iter().all(Value::is_table) => {
            array.iter().enumerate().for_each(|(index, value)| leaves(value, &below(index.to_string()), found));
        }
        _ => found.push(path.to_vec()),
    }
}

fn remove(value: &mut Value, path: &[String]) {
    match (value, path) {
        (Value::Table(table), [key]) => drop(table.remove(key)),
        (Value::Table(table), [key, rest @ ..]) => remove(&mut table[key], rest),
        (Value::Array(array), [index, rest @ ..]) => remove(&mut array[index.parse::<usize>().expect("index")], rest),
        _ => panic!("{path:?}"),
    }
}

#[test]
fn what_is_left_out_makes_a_difference() {
    let host = mac(Version::new(27, 0));
    let mut tried = 0;
    for (name, text) in MACHINES {
        let whole = machine(text);
        // What is refused is in the snapshots.
        let Ok(planned) = plan(&whole, &host) else { continue };
        let expected = planned.to_string();
        let tree: Value = Value::Table(text.parse().expect("TOML"));
        let mut paths = Vec::new();
        leaves(&tree, &[], &mut paths);
        // A helper reads these from the configuration itself.
        let of_helper = |path: &[String]| {
            planned.helpers.iter().any(|helper| match helper {
                Helper::NbdServer { storage } => path[0] == "storage" && path[1] == storage.to_string(),
                Helper::UserNat { network } => path[0] == "network" && path[1] == network.to_string(),
                _ => false,
            })
        };
        for path in paths {
            let mut less = tree.clone();
            remove(&mut less, &path);
            // What a machine cannot do without is not asked about, nor what says what is so anyway.
            let Ok(less) = config::Machine::from_toml(&toml::to_string(&less).expect("TOML")) else { continue };
            if less == whole || of_helper(&path) {
                continue;
            }
            tried += 1;
            assert_ne!(outcome(&less, &host), expected, "{name}: `{}` does nothing", path.join("."));
        }
    }
    assert!(tried > 40, "{tried} options tried");
}

/// Sections and keys, without indices and what the user names.
fn keys(text: &str) -> BTreeSet<String> {
    let mut paths = Vec::new();
    leaves(&Value::Table(text.parse().expect("TOML")), &[], &mut paths);
    let named = |path: &[String]| path.iter().position(|key| key == "directories");
    let key = |path: Vec<String>| {
        let path = &path[..named(&path).map_or(path.len(), |at| at + 1)];
        path.iter().filter(|key| key.parse::<usize>().is_err()).cloned().collect::<Vec<_>>().join(".")
    };
    paths.into_iter().map(key).collect()
}

#[test]
fn every_option_of_the_explained_example_is_in_some_machine_here() {
    let mut here: BTreeSet<String> = MACHINES.iter().flat_map(|(_, text)| keys(text)).collect();
    // The engine is chosen before there is a plan; the rest is beside keys that are here, and means nothing alone.
    let beside = ["engine", "network.ipv6", "network.host-access", "network.allow", "network.deny", "network.hostname"];
    let of_capture = ["network.capture-snaplen", "network.capture-limit", "network.type", "network.vfkit-magic"];
    // What there is with them depends on the Mac: see `hosts`.
    let of_rosetta = ["share.install", "share.ignore-if-missing"];
    here.extend(beside.iter().chain(&of_capture).chain(&of_rosetta).map(|key| (*key).to_owned()));
    let missing: Vec<_> = keys(config::EXAMPLE).difference(&here).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");
}

//! No option is passed over in silence: without it, the plan or what is refused is another.

use std::collections::BTreeSet;

use serde::Deserializer;
use serde::de::{DeserializeOwned, Error, Visitor};
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
                Helper::DatagramSocket { .. } | Helper::Descriptor { .. } => path[path.len() - 1] == "capture",
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

/// Reads nothing, and notes which fields a type asks for: those of the derived implementation, so every one there is.
struct Fields<'a>(&'a mut Vec<&'static str>);

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.0.extend(fields);
        self.deserialize_any(serde::de::IgnoredAny).and(Err(Self::Error::custom("nothing is read")))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
        Err(Self::Error::custom("nothing is read"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The options of a section, as `section.key`.
fn options<T: DeserializeOwned>(section: &str) -> Vec<String> {
    let mut fields = Vec::new();
    assert!(T::deserialize(Fields(&mut fields)).is_err());
    let prefix = if section.is_empty() { String::new() } else { format!("{section}.") };
    fields.into_iter().map(|field| format!("{prefix}{field}")).collect()
}

/// Every option that a configuration has.
fn every_option() -> BTreeSet<String> {
    let sections = ["bootloader", "platform", "entropy", "balloon", "storage", "network", "serial", "vsock", "share"];
    let sections = [&sections[..], &["graphics", "input", "sound"]].concat();
    let machine: Vec<_> =
        options::<config::Machine>("").into_iter().filter(|name| !sections.contains(&name.as_str())).collect();
    let all = [
        machine,
        options::<config::LinuxBoot>("bootloader"),
        options::<config::EfiBoot>("bootloader"),
        options::<config::GenericPlatform>("platform"),
        options::<config::MacPlatform>("platform"),
        options::<config::Balloon>("balloon"),
        options::<config::Storage>("storage"),
        options::<config::Network>("network"),
        options::<config::Serial>("serial"),
        options::<config::Vsock>("vsock"),
        options::<config::Share>("share"),
        options::<config::Graphics>("graphics"),
        options::<config::Input>("input"),
        options::<config::Sound>("sound"),
    ];
    all.into_iter().flatten().collect()
}

#[test]
fn every_option_there_is_has_a_rule_that_some_machine_here_tries() {
    let mut here: BTreeSet<String> = MACHINES.iter().flat_map(|(_, text)| keys(text)).collect();
    // The engine is chosen before there is a plan; the rest is beside keys that are here, and means nothing alone.
    let beside = ["engine", "network.ipv6", "network.host-access", "network.allow", "network.deny", "network.hostname"];
    let of_capture = ["network.capture-snaplen", "network.capture-limit"];
    // What there is with them depends on the Mac: see `hosts`.
    let of_rosetta = ["share.install", "share.ignore-if-missing"];
    // Other spellings, as vfkit has them; and `offloading`, which the configuration takes as off only.
    let spellings = ["network.interface", "network.name", "network.path", "network.offloading", "serial.file"];
    let paths = ["platform.aux-image-path", "platform.hardware-model-path", "platform.machine-identifier-path"];
    let known = beside.iter().chain(&of_capture).chain(&of_rosetta).chain(&spellings).chain(&paths);
    here.extend(known.chain(&["vsock.socket"]).map(|key| (*key).to_owned()));
    let missing: Vec<_> = every_option().difference(&here).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_explained_example_has_no_option_that_is_not_known_here() {
    let unknown: Vec<_> = keys(config::EXAMPLE).difference(&every_option()).cloned().collect();
    assert_eq!(unknown, ["bootloader.kind", "platform.kind"], "which say whose options follow");
}

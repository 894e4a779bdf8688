//! Gathers the parts of a configuration: a TOML document, arguments, or both.

use crate::de::shortened;
use crate::origin::{Origin, Origins};
use crate::parse::{did_you_mean, problem_of, read_machine};
use crate::tree::{self, Node};
use crate::{Parsed, Problem, key_value, section};

/// Gathers a configuration from a TOML document, arguments, or both; arguments add devices and replace the rest.
#[derive(Debug, Default)]
pub struct Builder {
    root: Vec<(String, Node)>,
    origins: Origins,
    problems: Vec<Problem>,
}

impl Builder {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Builder::default()
    }

    /// Adds a TOML document.
    pub fn toml(&mut self, text: &str) -> &mut Self {
        let document = tree::read_toml(text);
        self.problems.extend(document.problems);
        self.origins.0.extend(document.lines.into_iter().map(|(path, line)| (path, Origin::Line(line))));
        if self.root.is_empty() {
            self.root = document.entries;
        } else {
            document.entries.into_iter().for_each(|(key, node)| self.put(&key, node));
        }
        self
    }

    /// Sets a plain field: `cpus`, `memory`, `engine`, `nested`, `clipboard`. `origin` is what to call it in messages.
    pub fn set(&mut self, key: &str, value: &str, origin: &str) -> &mut Self {
        self.put_from(key, Node::Word(value.to_owned()), origin.to_owned());
        self
    }

    /// Sets the boot loader from `KIND,key=value,...`.
    pub fn bootloader(&mut self, text: &str) -> &mut Self {
        let origin = format!("--bootloader {}", shortened(text));
        match key_value::read(text) {
            Ok((kind, keys)) => self.put_bootloader(&kind, keys, origin),
            Err(what) => self.refuse("bootloader", &what, origin),
        }
        self
    }

    /// Sets the boot loader from its parts; a flag has the value `true`.
    pub fn bootloader_with(&mut self, kind: &str, keys: &[(&str, &str)], origin: &str) -> &mut Self {
        self.put_bootloader(kind, nodes(keys), origin.to_owned());
        self
    }

    /// The keys with which vfkit describes a Mac at its `macos` boot loader go to the platform, where they belong.
    fn put_bootloader(&mut self, kind: &str, mut keys: Vec<(String, Node)>, origin: String) {
        if kind == "macos" && !keys.is_empty() {
            self.put_from("platform", with_kind("mac", std::mem::take(&mut keys)), origin.clone());
        }
        self.put_from("bootloader", with_kind(kind, keys), origin);
    }

    /// Sets the platform from `KIND,key=value,...`.
    pub fn platform(&mut self, text: &str) -> &mut Self {
        let origin = format!("--platform {}", shortened(text));
        match key_value::read(text) {
            Ok((kind, keys)) => self.put_from("platform", with_kind(&kind, keys), origin),
            Err(what) => self.refuse("platform", &what, origin),
        }
        self
    }

    /// Adds the device `KIND,key=value,...`.
    pub fn device(&mut self, text: &str) -> &mut Self {
        let origin = format!("--device {}", shortened(text));
        match key_value::read(text) {
            Ok((kind, keys)) => self.add_device(&kind, keys, origin),
            Err(what) => self.refuse("device", &what, origin),
        }
        self
    }

    /// Adds a device from its parts; a flag has the value `true`.
    pub fn device_with(&mut self, kind: &str, keys: &[(&str, &str)], origin: &str) -> &mut Self {
        self.add_device(kind, nodes(keys), origin.to_owned());
        self
    }

    /// Whether there is anything under `key`, such as `network`.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.root.iter().any(|(known, _)| known == key)
    }

    fn add_device(&mut self, kind: &str, keys: Vec<(String, Node)>, origin: String) {
        let Some(section) = section::of_kind(kind) else {
            let what = format!("`{}` is no kind of device: {}", shortened(kind), did_you_mean(kind, &section::kinds()));
            return self.refuse("device", &what, origin);
        };
        let node = if section.kinds.len() == 1 { Node::Table(keys) } else { with_kind(kind, keys) };
        if !section.many {
            return self.put_from(section.name, node, origin);
        }
        if !self.has(section.name) {
            self.root.push((section.name.to_owned(), Node::List(Vec::new())));
        }
        // A file that has something else than a list there is reported when it is read.
        if let Some((_, Node::List(items))) = self.root.iter_mut().find(|(key, _)| key == section.name) {
            self.origins.0.insert(format!("{}[{}]", section.name, items.len()), Origin::Argument(origin));
            items.push(node);
        }
    }

    fn put_from(&mut self, key: &str, node: Node, origin: String) {
        // What the file said of it and of its keys is replaced.
        let below = [format!("{key}."), format!("{key}[")];
        self.origins.0.retain(|path, _| !below.iter().any(|prefix| path.starts_with(prefix)));
        self.origins.0.insert(key.to_owned(), Origin::Argument(origin));
        self.put(key, node);
    }

    fn put(&mut self, key: &str, node: Node) {
        self.root.retain(|(known, _)| known != key);
        self.root.push((key.to_owned(), node));
    }

    fn refuse(&mut self, path: &str, what: &str, origin: String) {
        let mut problem = problem_of(path.to_owned(), what);
        problem.origin = Some(origin);
        self.problems.push(problem);
    }

    /// Reads what was gathered.
    #[must_use]
    pub fn finish(self) -> Parsed {
        read_machine(self.root, self.origins, self.problems)
    }
}

fn nodes(keys: &[(&str, &str)]) -> Vec<(String, Node)> {
    keys.iter().map(|(key, value)| ((*key).to_owned(), Node::Word((*value).to_owned()))).collect()
}

fn with_kind(kind: &str, mut keys: Vec<(String, Node)>) -> Node {
    keys.insert(0, ("kind".to_owned(), Node::Word(kind.to_owned())));
    Node::Table(keys)
}

//! Text into a machine: TOML, arguments, or both, with every problem found.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::de::{Error, ErrorKind, shortened};
use crate::tree::{self, Node, Step, kebab, path_text};
use crate::{Engine, HostFacts, Machine, Problem, choice, key_value, problem, section};

/// Problems after which no more are looked for.
const MAX_PROBLEMS: usize = 100;

/// Gathers a configuration from a TOML document, arguments, or both; arguments add devices and replace the rest.
#[derive(Debug, Default)]
pub struct Builder {
    root: Vec<(String, Node)>,
    origins: Origins,
    problems: Vec<Problem>,
}

/// What [`Builder::finish`] found.
#[derive(Debug)]
pub struct Parsed {
    /// The machine, read as far as it is right; `None` when something that it cannot be without is missing.
    pub machine: Option<Machine>,
    /// What is wrong with the text. With an error among them the machine is not to be started.
    pub problems: Vec<Problem>,
    origins: Origins,
}

/// Where fields, by path, were given.
#[derive(Debug, Default)]
struct Origins(BTreeMap<String, Origin>);

#[derive(Debug)]
enum Origin {
    Line(usize),
    Argument(String),
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
        let Builder { mut root, origins, mut problems } = self;
        for (key, node) in &mut root {
            strip_only_kind(key, node);
        }
        let mut root = Node::Table(root);
        let mut machine = None;
        while problems.len() < MAX_PROBLEMS {
            match Machine::deserialize(&root) {
                Ok(read) => {
                    machine = Some(read);
                    break;
                }
                Err(error) => {
                    if !give_up(&mut root, error, &mut problems) {
                        break;
                    }
                }
            }
        }
        origins.locate(&mut problems);
        Parsed { machine, problems, origins }
    }
}

impl Parsed {
    /// Everything that is wrong: with the text, with the machine, and with the machine on `engine` and this host.
    /// Errors come first.
    #[must_use]
    pub fn check(&self, engine: Engine, host: &dyn HostFacts) -> Vec<Problem> {
        let mut found = self.machine.as_ref().map(|machine| machine.validate(engine, host)).unwrap_or_default();
        self.origins.locate(&mut found);
        let mut problems = self.problems.clone();
        // What was given up while reading can look missing afterwards; the first report of a field is the right one.
        found.retain(|problem| !problems.iter().any(|known| known.path == problem.path));
        problems.extend(found);
        problems.sort_by_key(|problem| std::cmp::Reverse(problem.severity));
        problems
    }

    /// Makes the relative paths of the file relative to its folder `base`; those of arguments are as the caller means
    /// them. `~/` becomes `home` in both.
    pub fn resolve_paths(&mut self, base: &Path, home: Option<&Path>) {
        let origins = &self.origins;
        let Some(machine) = &mut self.machine else { return };
        machine.visit_paths(&mut |field, path, _| match (path.strip_prefix("~"), home) {
            (Ok(rest), Some(home)) => *path = home.join(rest),
            _ if matches!(origins.of(&field), Some(Origin::Line(_))) => *path = base.join(&*path),
            _ => {}
        });
    }
}

impl Machine {
    /// Reads a machine from TOML.
    ///
    /// # Errors
    /// All problems of the text.
    pub fn from_toml(text: &str) -> Result<Machine, Vec<Problem>> {
        let mut builder = Builder::new();
        builder.toml(text);
        let parsed = builder.finish();
        match parsed.machine {
            Some(machine) if parsed.problems.is_empty() => Ok(machine),
            _ => Err(parsed.problems),
        }
    }

    /// This machine as TOML.
    ///
    /// # Errors
    /// A path that is not UTF-8, or a number beyond 2^63, which TOML cannot say.
    pub fn to_toml(&self) -> Result<String, Problem> {
        toml::to_string(self).map_err(|error| unwritable(&error))
    }

    /// This machine as the arguments of `russet run`.
    ///
    /// # Errors
    /// As [`to_toml`](Machine::to_toml).
    pub fn to_args(&self) -> Result<Vec<String>, Problem> {
        let root = toml::Table::try_from(self).map_err(|error| unwritable(&error))?;
        let mut args = Vec::new();
        for (key, value) in &root {
            match (section::of_name(key), value) {
                (Some(section), toml::Value::Array(tables)) => {
                    for table in tables.iter().filter_map(toml::Value::as_table) {
                        args.extend(["--device".to_owned(), argument(section.kinds[0], table)]);
                    }
                }
                (Some(section), toml::Value::Table(table)) => {
                    args.extend(["--device".to_owned(), argument(section.kinds[0], table)]);
                }
                (None, toml::Value::Table(table)) => args.extend([format!("--{key}"), argument("", table)]),
                (_, toml::Value::Boolean(true)) => args.push(format!("--{key}")),
                (_, toml::Value::String(text)) => args.extend([format!("--{key}"), text.clone()]),
                (_, value) => args.extend([format!("--{key}"), value.to_string()]),
            }
        }
        Ok(args)
    }
}

fn argument(kind: &str, table: &toml::Table) -> String {
    let mut keys = table.clone();
    match keys.remove("kind") {
        Some(toml::Value::String(kind)) => key_value::write(&kind, &keys),
        _ => key_value::write(kind, &keys),
    }
}

fn unwritable(error: &toml::ser::Error) -> Problem {
    Problem::error("TOML", error.to_string(), "use UTF-8 paths and smaller numbers")
}

fn nodes(keys: &[(&str, &str)]) -> Vec<(String, Node)> {
    keys.iter().map(|(key, value)| ((*key).to_owned(), Node::Word((*value).to_owned()))).collect()
}

fn with_kind(kind: &str, mut keys: Vec<(String, Node)>) -> Node {
    keys.insert(0, ("kind".to_owned(), Node::Word(kind.to_owned())));
    Node::Table(keys)
}

/// Lets a table name its kind where the section has only one.
fn strip_only_kind(key: &str, node: &mut Node) {
    let Some(section) = section::of_name(key).filter(|section| section.kinds.len() == 1) else { return };
    let strip = |node: &mut Node| {
        if let Node::Table(entries) = node {
            let only = section.kinds[0];
            entries.retain(|(key, value)| {
                !(key == "kind" && matches!(value, Node::Word(text) | Node::Text(text) if text == only))
            });
        }
    };
    match node {
        Node::List(items) => items.iter_mut().for_each(strip),
        node => strip(node),
    }
}

/// Reports `error` and gives up the value that it is about, so that the rest can be read. `false`: there is no rest.
fn give_up(root: &mut Node, error: Error, problems: &mut Vec<Problem>) -> bool {
    let Error { mut steps, kind } = error;
    steps.reverse();
    let incomplete = root.at_mut(&steps).is_some_and(|node| node.has_skipped());
    let path = path_text(&steps);
    let within = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match kind {
        ErrorKind::UnknownKey(known) => {
            let key = match steps.last() {
                Some(Step::Key(key)) => shortened(key),
                _ => String::new(),
            };
            problems.push(Problem::error(path, format!("there is no key `{key}` here"), did_you_mean(&key, known)));
        }
        ErrorKind::UnknownWord(word, known) => {
            let what = format!("`{}` is not known here", shortened(&word));
            problems.push(Problem::error(path, what, did_you_mean(&word, known)));
        }
        // A key that was reported as wrong, or was perhaps misspelt, is not missing.
        ErrorKind::Missing(key) if was_skipped(root.at_mut(&steps), key) => {}
        ErrorKind::Missing(key) => problems.push(Problem::error(within(key), "is missing", format!("add `{key}`"))),
        ErrorKind::WrongType(found, wanted) => {
            problems.push(Problem::error(path, format!("{found} is not {wanted}"), format!("give {wanted}")));
        }
        // Keys do not fit together; when one of them was reported as wrong that may be all there is to it.
        ErrorKind::Other(_) if incomplete => {}
        ErrorKind::Other(message) => problems.push(problem_of(path, &message)),
    }
    match root.at_mut(&steps) {
        Some(node) if !steps.is_empty() && *node != Node::Skip => {
            *node = Node::Skip;
            true
        }
        _ => false,
    }
}

fn was_skipped(table: Option<&mut Node>, key: &str) -> bool {
    let meant = |name: &str| kebab(name) == key || problem::nearest(name, &[key]).is_some();
    match table {
        Some(Node::Table(entries)) => entries.iter().any(|(name, node)| *node == Node::Skip && meant(name)),
        _ => false,
    }
}

/// Splits `reason: mend`.
fn problem_of(path: String, message: &str) -> Problem {
    let (what, mend) = message.rsplit_once(": ").unwrap_or((message, ""));
    Problem::error(path, what, mend)
}

fn did_you_mean(name: &str, known: &[&str]) -> String {
    match problem::nearest(name, known) {
        Some(known) => format!("did you mean `{known}`?"),
        None if known.is_empty() => "remove it".to_owned(),
        None => format!("known are {}", choice::list(known)),
    }
}

impl Origins {
    /// Where the field, or the nearest one around it, was given.
    fn of(&self, field: &str) -> Option<&Origin> {
        let mut path = field;
        loop {
            if let Some(origin) = self.0.get(path) {
                return Some(origin);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }

    /// Tells of each problem where its field was given.
    fn locate(&self, problems: &mut [Problem]) {
        for problem in problems.iter_mut().filter(|problem| problem.origin.is_none()) {
            problem.origin = self.of(&problem.path).map(|origin| match origin {
                Origin::Line(line) => format!("line {line}"),
                Origin::Argument(text) => text.clone(),
            });
        }
    }
}

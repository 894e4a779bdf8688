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
    origins: BTreeMap<String, String>,
    problems: Vec<Problem>,
}

/// What [`Builder::finish`] found.
#[derive(Debug)]
pub struct Parsed {
    /// The machine, read as far as it is right; `None` when something that it cannot be without is missing.
    pub machine: Option<Machine>,
    /// What is wrong with the text. With an error among them the machine is not to be started.
    pub problems: Vec<Problem>,
    origins: BTreeMap<String, String>,
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
        self.origins.extend(document.lines.into_iter().map(|(path, line)| (path, format!("line {line}"))));
        if self.root.is_empty() {
            self.root = document.entries;
        } else {
            document.entries.into_iter().for_each(|(key, node)| self.put(&key, node));
        }
        self
    }

    /// Sets a plain field: `cpus`, `memory`, `engine`, `nested`, `clipboard`. `origin` is what to call it in messages.
    pub fn set(&mut self, key: &str, value: &str, origin: &str) -> &mut Self {
        self.origins.insert(key.to_owned(), origin.to_owned());
        self.put(key, Node::Word(value.to_owned()));
        self
    }

    /// Sets the boot loader from `KIND,key=value,...`.
    ///
    /// The keys with which vfkit describes a Mac at its `macos` boot loader go to the platform, where they belong.
    pub fn bootloader(&mut self, text: &str) -> &mut Self {
        let origin = format!("--bootloader {}", shortened(text));
        match key_value::read(text) {
            Ok((kind, keys)) if kind == "macos" && !keys.is_empty() => {
                self.origins.insert("platform".to_owned(), origin.clone());
                self.put("platform", with_kind("mac", keys));
                self.origins.insert("bootloader".to_owned(), origin);
                self.put("bootloader", with_kind("macos", Vec::new()));
            }
            Ok((kind, keys)) => {
                self.origins.insert("bootloader".to_owned(), origin);
                self.put("bootloader", with_kind(&kind, keys));
            }
            Err(what) => self.refuse("bootloader", what, origin),
        }
        self
    }

    /// Sets the platform from `KIND,key=value,...`.
    pub fn platform(&mut self, text: &str) -> &mut Self {
        let origin = format!("--platform {}", shortened(text));
        match key_value::read(text) {
            Ok((kind, keys)) => {
                self.origins.insert("platform".to_owned(), origin);
                self.put("platform", with_kind(&kind, keys));
            }
            Err(what) => self.refuse("platform", what, origin),
        }
        self
    }

    /// Adds the device `KIND,key=value,...`.
    pub fn device(&mut self, text: &str) -> &mut Self {
        let origin = format!("--device {}", shortened(text));
        let (kind, keys) = match key_value::read(text) {
            Ok(read) => read,
            Err(what) => {
                self.refuse("device", what, origin);
                return self;
            }
        };
        let Some(section) = section::of_kind(&kind) else {
            let what = format!("`{}` is no kind of device", shortened(&kind));
            let kinds = section::kinds();
            let mut problem = Problem::error("device", what, did_you_mean(&kind, &kinds));
            problem.origin = Some(origin);
            self.problems.push(problem);
            return self;
        };
        let node = if section.kinds.len() == 1 { Node::Table(keys) } else { with_kind(&kind, keys) };
        if section.many {
            let index = match self.root.iter_mut().find(|(key, _)| key == section.name) {
                Some((_, Node::List(items))) => {
                    items.push(node);
                    items.len() - 1
                }
                Some(_) => return self, // The file has no list there, which is reported when it is read.
                None => {
                    self.root.push((section.name.to_owned(), Node::List(vec![node])));
                    0
                }
            };
            self.origins.insert(format!("{}[{index}]", section.name), origin);
        } else {
            self.origins.insert(section.name.to_owned(), origin);
            self.put(section.name, node);
        }
        self
    }

    fn put(&mut self, key: &str, node: Node) {
        self.root.retain(|(known, _)| known != key);
        self.root.push((key.to_owned(), node));
    }

    fn refuse(&mut self, path: &str, what: String, origin: String) {
        let mut problem = problem_of(path.to_owned(), &what);
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
        let mut parsed = Parsed { machine, problems, origins };
        locate(&mut parsed.problems, &parsed.origins);
        parsed
    }
}

impl Parsed {
    /// Everything that is wrong: with the text, with the machine, and with the machine on `engine` and this host.
    /// Errors come first.
    #[must_use]
    pub fn check(&self, engine: Engine, host: &dyn HostFacts) -> Vec<Problem> {
        let mut found = self.machine.as_ref().map(|machine| machine.validate(engine, host)).unwrap_or_default();
        locate(&mut found, &self.origins);
        let mut problems = self.problems.clone();
        // What was given up while reading can look missing afterwards; the first report of a field is the right one.
        found.retain(|problem| !problems.iter().any(|known| known.path == problem.path));
        problems.extend(found);
        problems.sort_by_key(|problem| std::cmp::Reverse(problem.severity));
        problems
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

    /// Makes relative paths relative to `base`, as those of a file are to its folder, and `~/` to `home`.
    pub fn resolve_paths(&mut self, base: &Path, home: Option<&Path>) {
        self.for_each_path_mut(|path| match (path.strip_prefix("~"), home) {
            (Ok(rest), Some(home)) => *path = home.join(rest),
            _ => *path = base.join(&*path),
        });
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

/// Tells of each problem where its field, or the nearest one around it, was given.
fn locate(problems: &mut [Problem], origins: &BTreeMap<String, String>) {
    for problem in problems.iter_mut().filter(|problem| problem.origin.is_none()) {
        let mut path = problem.path.as_str();
        problem.origin = loop {
            if let Some(origin) = origins.get(path) {
                break Some(origin.clone());
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => break None,
            }
        };
    }
}

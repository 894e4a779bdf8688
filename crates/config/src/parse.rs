//! From the untyped tree to a machine, with every problem found.

use std::path::Path;

use serde::Deserialize;

use crate::de::{Error, ErrorKind, shortened};
use crate::origin::{Origin, Origins};
use crate::tree::{Node, Step, kebab, path_text};
use crate::{Builder, Engine, HostFacts, Machine, Problem, choice, problem, section};

/// Problems after which no more are looked for.
const MAX_PROBLEMS: usize = 100;

/// What [`Builder::finish`] found.
#[derive(Debug)]
pub struct Parsed {
    /// The machine, read as far as it is right; `None` when something that it cannot be without is missing.
    pub machine: Option<Machine>,
    /// What is wrong with the text. With an error among them the machine is not to be started.
    pub problems: Vec<Problem>,
    origins: Origins,
}

/// Reads a machine from the entries of the root table; `problems` are those found before.
pub(crate) fn read_machine(mut root: Vec<(String, Node)>, origins: Origins, mut problems: Vec<Problem>) -> Parsed {
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
pub(crate) fn problem_of(path: String, message: &str) -> Problem {
    let (what, mend) = message.rsplit_once(": ").unwrap_or((message, ""));
    Problem::error(path, what, mend)
}

pub(crate) fn did_you_mean(name: &str, known: &[&str]) -> String {
    match problem::nearest(name, known) {
        Some(known) => format!("did you mean `{known}`?"),
        None if known.is_empty() => "remove it".to_owned(),
        None => format!("known are {}", choice::list(known)),
    }
}

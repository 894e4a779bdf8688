//! Configuration text, parsed and not yet typed: what TOML and key=value have in common.

use std::collections::BTreeMap;

use crate::Problem;

/// A value of either form.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    /// A value of the key=value form, which gets its type from the key.
    Word(String),
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// A string.
    Text(String),
    /// Something that no key has: a fraction, a date.
    Other(&'static str),
    /// An array.
    List(Vec<Node>),
    /// A table, in the order in which it was written; a key is there once.
    Table(Vec<(String, Node)>),
    /// A value that was reported as wrong and is read no more.
    Skip,
}

/// One step of a field path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A key of a table, as it was written.
    Key(String),
    /// A place in a list, from zero.
    Index(usize),
}

/// A field path as people write it: `storage[0].path`.
pub(crate) fn path_text(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

impl Node {
    /// The node at `path`.
    pub(crate) fn at_mut(&mut self, path: &[Step]) -> Option<&mut Node> {
        path.iter().try_fold(self, |node, step| match (node, step) {
            (Node::Table(entries), Step::Key(key)) => {
                entries.iter_mut().find(|(name, _)| name == key).map(|(_, node)| node)
            }
            (Node::List(items), Step::Index(index)) => items.get_mut(*index),
            _ => None,
        })
    }

    /// Whether this is a table in which a value was given up.
    pub(crate) fn has_skipped(&self) -> bool {
        matches!(self, Node::Table(entries) if entries.iter().any(|(_, node)| *node == Node::Skip))
    }
}

/// A key in the spelling of the types: `mountTag`, `mount_tag` and `mount-tag` are one key, `socketURL` is
/// `socket-url`.
pub(crate) fn kebab(key: &str) -> String {
    let mut name = String::with_capacity(key.len() + 4);
    let mut after_lower = false;
    for c in key.chars() {
        if c == '_' || c == '-' {
            name.push('-');
            after_lower = false;
        } else {
            if c.is_ascii_uppercase() && after_lower {
                name.push('-');
            }
            after_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
            name.push(c.to_ascii_lowercase());
        }
    }
    name
}

/// A TOML document and where its values stand.
pub(crate) struct Document {
    /// The entries of the root table.
    pub(crate) entries: Vec<(String, Node)>,
    /// The line, from one, of each field path.
    pub(crate) lines: BTreeMap<String, usize>,
    /// What is wrong with the syntax.
    pub(crate) problems: Vec<Problem>,
}

/// Reads TOML.
pub(crate) fn read_toml(text: &str) -> Document {
    let (root, errors) = toml::de::DeTable::parse_recoverable(text);
    let line_of = |offset: usize| 1 + text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count();
    let problems = errors
        .iter()
        .map(|error| {
            let mut problem = Problem::error("TOML", error.message(), "correct the syntax");
            problem.origin = error.span().map(|span| format!("line {}", line_of(span.start)));
            problem
        })
        .collect();
    let mut offsets = Vec::new();
    let entries = read_table(root.get_ref(), &mut Vec::new(), &mut offsets);
    // Ascending offsets let the lines be counted in one pass over the text.
    offsets.sort();
    let mut lines = BTreeMap::new();
    let (mut line, mut seen) = (1, 0);
    for (offset, path) in offsets {
        line += text.as_bytes().get(seen..offset).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count();
        seen = seen.max(offset);
        lines.insert(path, line);
    }
    Document { entries, lines, problems }
}

fn read_table(
    table: &toml::de::DeTable<'_>,
    path: &mut Vec<Step>,
    offsets: &mut Vec<(usize, String)>,
) -> Vec<(String, Node)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
        .into_iter()
        .map(|(key, value)| {
            path.push(Step::Key(key.get_ref().to_string()));
            offsets.push((key.span().start, path_text(path)));
            let node = read_value(value, path, offsets);
            path.pop();
            (key.get_ref().to_string(), node)
        })
        .collect()
}

fn read_value(
    value: &toml::Spanned<toml::de::DeValue<'_>>,
    path: &mut Vec<Step>,
    offsets: &mut Vec<(usize, String)>,
) -> Node {
    use toml::de::DeValue;
    match value.get_ref() {
        DeValue::String(text) => Node::Text(text.to_string()),
        DeValue::Integer(integer) => i128::from_str_radix(integer.as_str(), integer.radix())
            .map_or(Node::Other("a number that is far too large"), Node::Integer),
        DeValue::Float(_) => Node::Other("a fraction"),
        DeValue::Boolean(value) => Node::Bool(*value),
        DeValue::Datetime(_) => Node::Other("a date"),
        DeValue::Array(items) => Node::List(
            items
                .iter()
                .enumerate()
                .map(|(index, item)| {
                    path.push(Step::Index(index));
                    offsets.push((item.span().start, path_text(path)));
                    let node = read_value(item, path, offsets);
                    path.pop();
                    node
                })
                .collect(),
        ),
        DeValue::Table(table) => Node::Table(read_table(table, path, offsets)),
    }
}

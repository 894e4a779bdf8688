//! Where the parts of a configuration were given, for messages and for relative paths.

use std::collections::BTreeMap;

use crate::Problem;

/// Where fields, by path, were given.
#[derive(Debug, Default)]
pub(crate) struct Origins(pub(crate) BTreeMap<String, Origin>);

/// Where a field was given.
#[derive(Debug)]
pub(crate) enum Origin {
    /// In this line of the file.
    Line(usize),
    /// In this argument.
    Argument(String),
}

impl Origins {
    /// Where the field, or the nearest one around it, was given.
    pub(crate) fn of(&self, field: &str) -> Option<&Origin> {
        let mut path = field;
        loop {
            if let Some(origin) = self.0.get(path) {
                return Some(origin);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }

    /// Tells of each problem where its field was given.
    pub(crate) fn locate(&self, problems: &mut [Problem]) {
        for problem in problems.iter_mut().filter(|problem| problem.origin.is_none()) {
            problem.origin = self.of(&problem.path).map(|origin| match origin {
                Origin::Line(line) => format!("line {line}"),
                Origin::Argument(text) => text.clone(),
            });
        }
    }
}

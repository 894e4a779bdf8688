//! Writes machines, as TOML and as arguments.

use crate::{Machine, Problem, key_value, section};

impl Machine {
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

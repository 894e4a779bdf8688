//! The key=value form: `KIND,key=value,flag,...`, as vfkit has it.
//!
//! Items are separated by commas. A value, or a whole item, that has a comma in it stands in double quotes, in which
//! `\"` and `\\` are a quote and a backslash. A key without a value is a flag and means `true`. A key with a dot is a
//! table's: `directories.src.path=/src`; a dot, an equals sign or a backslash of the name itself has a backslash before it.

use crate::tree::Node;

/// Deepest nesting of dotted keys; the types have three levels.
const MAX_DEPTH: usize = 8;

/// Reads an argument: its kind, and its keys as a table.
pub(crate) fn read(text: &str) -> Result<(String, Vec<(String, Node)>), String> {
    let mut items = split(text)?.into_iter();
    let kind = items.next().unwrap_or_default();
    if kind.is_empty() || kind.contains('=') {
        return Err("the kind comes first, as in `virtio-blk,path=disk.img`".to_owned());
    }
    let mut table = Vec::new();
    for item in items {
        let (keys, value) = split_key(&item);
        let value = value.map_or(Node::Bool(true), |value| Node::Word(value.to_owned()));
        if keys[0].is_empty() {
            return Err("there is an item without a key: remove the comma or name the key".to_owned());
        }
        if keys.len() > MAX_DEPTH {
            return Err("a key has too many dots in it".to_owned());
        }
        insert(&mut table, &keys, value)?;
    }
    Ok((kind, table))
}

/// The items of `text`, with their quotes taken off.
fn split(text: &str) -> Result<Vec<String>, String> {
    let mut items = Vec::new();
    let mut item = String::new();
    let mut quoted = false;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' if quoted => item.extend(chars.next()),
            ',' if !quoted => items.push(std::mem::take(&mut item)),
            c => item.push(c),
        }
    }
    if quoted {
        return Err("a double quote is open at the end: close it".to_owned());
    }
    items.push(item);
    Ok(items)
}

/// The parts of an item's key, of which there is at least one, and its value.
fn split_key(item: &str) -> (Vec<String>, Option<&str>) {
    let mut keys = vec![];
    let mut key = String::new();
    let mut chars = item.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => key.extend(chars.next().map(|(_, c)| c)),
            '.' => keys.push(std::mem::take(&mut key)),
            '=' => {
                keys.push(key);
                return (keys, Some(&item[at + 1..]));
            }
            c => key.push(c),
        }
    }
    keys.push(key);
    (keys, None)
}

fn insert(table: &mut Vec<(String, Node)>, keys: &[String], value: Node) -> Result<(), String> {
    let [key, rest @ ..] = keys else { return Ok(()) };
    let known = table.iter_mut().find(|(name, _)| name == key).map(|(_, node)| node);
    match (known, rest) {
        (None, []) => table.push((key.clone(), value)),
        (Some(Node::Table(inner)), [_, ..]) => insert(inner, rest, value)?,
        (None, [_, ..]) => {
            let mut inner = Vec::new();
            insert(&mut inner, rest, value)?;
            table.push((key.clone(), Node::Table(inner)));
        }
        (Some(_), _) => return Err(format!("`{key}` is given twice: remove one")),
    }
    Ok(())
}

/// Writes an argument that [`read`] reads as `kind` and `table`.
pub(crate) fn write(kind: &str, table: &toml::Table) -> String {
    let mut text = quote(kind);
    write_table(&mut text, "", table);
    text
}

fn write_table(text: &mut String, prefix: &str, table: &toml::Table) {
    for (key, value) in table {
        let name = key.replace('\\', r"\\").replace('.', r"\.").replace('=', r"\=");
        let key = format!("{prefix}{name}");
        let item = match value {
            toml::Value::Table(inner) => {
                write_table(text, &format!("{key}."), inner);
                continue;
            }
            toml::Value::Boolean(true) => quote(&key),
            toml::Value::String(value) => format!("{}={}", quote(&key), quote(value)),
            other => format!("{}={other}", quote(&key)),
        };
        text.push(',');
        text.push_str(&item);
    }
}

/// `text` in quotes where it would not be read as it is.
fn quote(text: &str) -> String {
    match text.contains([',', '"', ' ', '\t', '\n']) {
        true => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Node {
        Node::Word(text.to_owned())
    }

    #[test]
    fn quotes_keep_commas_and_equals() {
        for text in [
            r#"linux,kernel=Image,cmdline="console=hvc0 x=a,b",flag"#,
            r#"linux,kernel=Image,"cmdline=console=hvc0 x=a,b",flag"#,
            r#"linux,kernel="Image",cmdline=console=hvc0" x=a,"b,flag"#,
        ] {
            let (kind, table) = read(text).unwrap();
            assert_eq!(kind, "linux");
            let wanted = [
                ("kernel".to_owned(), word("Image")),
                ("cmdline".to_owned(), word("console=hvc0 x=a,b")),
                ("flag".to_owned(), Node::Bool(true)),
            ];
            assert_eq!(table, wanted, "{text}");
        }
        assert_eq!(read(r#"k,a="\"x\" \\ y""#).unwrap().1, [("a".to_owned(), word(r#""x" \ y"#))]);
    }

    #[test]
    fn refusals() {
        for (text, wanted) in [
            ("", "the kind comes first"),
            ("path=x", "the kind comes first"),
            ("k,", "an item without a key"),
            ("k,=x", "an item without a key"),
            ("k,a=\"x", "double quote"),
            ("k,a=1,a=2", "`a` is given twice"),
            ("k,a=1,a.b=2", "given twice"),
            ("k,a.b=2,a=1", "given twice"),
            ("k,a.b.c.d.e.f.g.h.i.j.k=2", "too many dots"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}

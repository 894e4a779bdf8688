//! Keys of which a table must have exactly one, such as where a console goes, or may have one.

/// The one alternative that is given.
///
/// Each alternative is a key and, when the key is given, what it stands for. The error names the keys.
pub(crate) fn exactly_one<T>(alternatives: Vec<(&'static str, Option<T>)>) -> Result<T, String> {
    let names: Vec<&str> = alternatives.iter().map(|(name, _)| *name).collect();
    let mut given: Vec<(&str, T)> =
        alternatives.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))).collect();
    match given.len() {
        1 => Ok(given.remove(0).1),
        0 => Err(format!("one of {} must be given", list(&names))),
        _ => {
            let both: Vec<&str> = given.iter().map(|(name, _)| *name).collect();
            Err(format!("{} exclude each other: keep one of them", list(&both)))
        }
    }
}

/// As [`exactly_one`], but it may be that none is given.
pub(crate) fn at_most_one<T>(alternatives: Vec<(&'static str, Option<T>)>) -> Result<Option<T>, String> {
    if alternatives.iter().all(|(_, value)| value.is_none()) {
        return Ok(None);
    }
    exactly_one(alternatives).map(Some)
}

/// `a`, `b` and `c`, for messages.
pub(crate) fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

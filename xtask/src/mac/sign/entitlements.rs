//! Rights: from a property list to the form that the kernel reads.

use anyhow::{Context, Result, ensure};

/// The rights of a property list, sorted. Other values than true are refused: no right of ours has any.
pub(super) fn names(list: &str) -> Result<Vec<&str>> {
    ensure!(!list.contains("<!--"), "macOS reads no comments in entitlements: remove them");
    let (_, dictionary) = list.split_once("<dict>").context("the entitlements are no property list")?;
    let (dictionary, _) = dictionary.split_once("</dict>").context("the entitlements are cut off")?;
    let mut names = Vec::new();
    for entry in dictionary.split("<key>").skip(1) {
        let (name, value) = entry.split_once("</key>").context("a key that does not end")?;
        let value = value.trim();
        ensure!(value == "<true/>", "the right `{name}` is `{value}`, and only <true/> is understood here");
        names.push(name);
    }
    names.sort_unstable();
    Ok(names)
}

/// The rights in DER: `[APPLICATION 16] { version 1, [16] { { name, true } ... } }`.
pub(super) fn der(names: &[&str]) -> Vec<u8> {
    let pair = |name: &&str| element(0x30, &[element(0x0c, name.as_bytes()), element(0x01, &[0xff])].concat());
    let dictionary = element(0xb0, &names.iter().flat_map(pair).collect::<Vec<_>>());
    element(0x70, &[element(0x02, &[1]), dictionary].concat())
}

/// A tag, the length in its shortest form (X.690, 8.1.3), and the contents.
fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut element = vec![tag];
    match length {
        [] => element.push(0),
        [short] if *short < 0x80 => element.push(*short),
        long => {
            element.push(0x80 | u8::try_from(long.len()).unwrap_or_default());
            element.extend(long);
        }
    }
    element.extend(contents);
    element
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_read_and_others_refused() {
        assert_eq!(names("<dict>\n<key>b</key>\n<true/>\n<key>a</key><true/></dict>").unwrap(), ["a", "b"]);
        assert!(names("<dict><key>a</key><false/></dict>").is_err());
        assert!(names("<dict><key>a</key><array/></dict>").is_err());
        assert!(names("nothing").is_err());
        assert!(names("<dict><!-- why --><key>a</key><true/></dict>").is_err());
    }

    #[test]
    fn one_right_in_der() {
        let expected = [0x70, 0x0f, 2, 1, 1, 0xb0, 0x0a, 0x30, 0x08, 0x0c, 3, b'a', b'.', b'b', 1, 1, 0xff];
        assert_eq!(der(&["a.b"]), expected);
    }

    #[test]
    fn lengths_are_in_their_shortest_form() {
        assert_eq!(element(4, &[0; 127])[..2], [4, 127]);
        assert_eq!(element(4, &[0; 128])[..3], [4, 0x81, 128]);
        assert_eq!(element(4, &[0; 300])[..4], [4, 0x82, 1, 44]);
    }
}

//! The descriptor: a text that says of which extents a disk is ("The Descriptor File").

use crate::Error;

/// How a descriptor begins.
pub const SIGNATURE: &[u8] = b"# Disk DescriptorFile";

/// Bytes of a descriptor at most.
pub(super) const LONGEST: u64 = 1 << 20;
/// Extents at most: each is an open file.
const MOST: usize = 512;
/// Sectors of a disk at most: 1 EiB.
const SECTORS: u64 = 1 << 51;
/// The parent's content ID where there is no parent.
const NO_PARENT: &str = "ffffffff";

/// What a descriptor says that matters here.
pub(super) struct Descriptor {
    pub(super) extents: Vec<Extent>,
}

/// A line about an extent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) sectors: u64,
    pub(super) kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The bytes of a file from a sector on.
    Flat { name: String, sector: u64 },
    /// A file with tables of its own.
    Sparse { name: String },
    /// Zeroes.
    Zero,
}

impl Descriptor {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        // Inside a sparse file it is padded with zeroes.
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        let text = String::from_utf8_lossy(text);
        if !text.as_bytes().starts_with(SIGNATURE) {
            return Err(Error::image("it has no descriptor: it is damaged"));
        }
        let mut extents = Vec::new();
        for line in text.lines().map(str::trim) {
            if ["RW ", "RDONLY ", "NOACCESS "].iter().any(|access| line.starts_with(access)) {
                extents.push(extent(line)?);
            } else if names_a_parent(line) {
                return Err(Error::image(
                    "it is a change over another image, which cannot be read: join them with `qemu-img convert -O \
                     qcow2 IMAGE NEW.qcow2`",
                ));
            }
        }
        let sectors = extents.iter().try_fold(0u64, |sum, extent| sum.checked_add(extent.sectors));
        if extents.is_empty() || extents.len() > MOST || sectors.is_none_or(|sum| sum > SECTORS) {
            return Err(Error::image(format!(
                "it has {} extents, or they are too large: 1 to {MOST} can be read",
                extents.len()
            )));
        }
        Ok(Self { extents })
    }
}

fn names_a_parent(line: &str) -> bool {
    let parent = line.split_once('=').filter(|(key, _)| key.trim().eq_ignore_ascii_case("parentCID"));
    parent.is_some_and(|(_, value)| !value.trim().eq_ignore_ascii_case(NO_PARENT))
}

/// `ACCESS SECTORS TYPE ["FILE" [SECTOR]]`.
fn extent(line: &str) -> Result<Extent, Error> {
    let wrong = || Error::image(format!("its descriptor has an extent that cannot be read: {line:.200}"));
    let (before, named) = line.split_once('"').map_or((line, None), |(before, rest)| (before, rest.rsplit_once('"')));
    let [access, sectors, kind] = before.split_whitespace().collect::<Vec<_>>()[..] else { return Err(wrong()) };
    let sectors = sectors.parse().map_err(|_| wrong())?;
    let kind = match (access, kind, named) {
        ("NOACCESS", ..) => return Err(wrong()),
        (_, "ZERO", _) => Kind::Zero,
        (_, "FLAT" | "VMFS", Some((name, sector))) => {
            let sector = if sector.trim().is_empty() { "0" } else { sector.trim() };
            Kind::Flat { name: name.to_owned(), sector: sector.parse().map_err(|_| wrong())? }
        }
        (_, "SPARSE", Some((name, _))) => Kind::Sparse { name: name.to_owned() },
        _ => return Err(wrong()),
    };
    Ok(Extent { sectors, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_about_extents_are_read() {
        for (line, wanted) in [
            ("RW 8 FLAT \"a b.vmdk\" 16", Some((8, Kind::Flat { name: "a b.vmdk".into(), sector: 16 }))),
            ("RDONLY 8 VMFS \"a\"", Some((8, Kind::Flat { name: "a".into(), sector: 0 }))),
            ("RW 8 SPARSE \"q\"uote\"", Some((8, Kind::Sparse { name: "q\"uote".into() }))),
            ("RW 8 ZERO", Some((8, Kind::Zero))),
            ("RW 8 SPARSE", None),
            ("RW -8 ZERO", None),
            ("RW 8 VMFSSPARSE \"a\"", None),
            ("NOACCESS 8 ZERO", None),
            ("RW 8 FLAT \"a\" x", None),
            ("RW 8 FLAT \"a", None),
        ] {
            let got = extent(line).ok().map(|extent| (extent.sectors, extent.kind));
            assert_eq!(got, wanted, "{line}");
        }
    }
}

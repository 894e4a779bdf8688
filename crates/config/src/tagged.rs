//! Enums that are told apart by the key `kind`, read without buffering so that an error keeps its field path.

/// Implements `Deserialize` for an enum of newtype variants from a map whose first key is `kind`; the other keys are
/// those of the variant. (Serde's own `tag` attribute would read the map into a buffer and lose where it was.)
macro_rules! tagged_enum {
    ($name:ident, $what:literal, { $($kind:literal => $variant:ident),+ $(,)? }) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;

                impl<'de> serde::de::Visitor<'de> for Visitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(f, concat!($what, ": a table with the key `kind`"))
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        #[derive(serde::Deserialize)]
                        enum Kind {
                            $(#[serde(rename = $kind)] $variant,)+
                        }
                        match map.next_key::<String>()?.as_deref() {
                            Some("kind") => {}
                            _ => {
                                let kinds = crate::choice::list(&[$($kind),+]);
                                let message = format!("the key `kind` is missing: give one of {kinds}");
                                return Err(serde::de::Error::custom(message));
                            }
                        }
                        let kind: Kind = map.next_value()?;
                        let rest = serde::de::value::MapAccessDeserializer::new(map);
                        match kind {
                            $(Kind::$variant => serde::Deserialize::deserialize(rest).map($name::$variant),)+
                        }
                    }
                }

                // As a struct, so that keys are read as names of fields.
                deserializer.deserialize_struct(stringify!($name), &[], Visitor)
            }
        }
    };
}

pub(crate) use tagged_enum;

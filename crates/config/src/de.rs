//! From the untyped tree to the types, by serde, keeping the field path of every error.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, Unexpected, VariantAccess,
    Visitor,
};

use crate::choice::list;
use crate::tree::{Node, Step, kebab};

/// What keeps a value from being read.
#[derive(Debug)]
pub(crate) struct Error {
    /// The steps to the value, innermost first.
    pub(crate) steps: Vec<Step>,
    /// What is wrong with it.
    pub(crate) kind: ErrorKind,
}

/// What is wrong with a value.
#[derive(Debug)]
pub(crate) enum ErrorKind {
    /// The last step is a key that the table does not have; the keys that it has.
    UnknownKey(&'static [&'static str]),
    /// A word that is none of those known.
    UnknownWord(String, &'static [&'static str]),
    /// A key that the table needs.
    Missing(&'static str),
    /// A value of another type: what it is, what it should be.
    WrongType(String, String),
    /// Anything else, in a sentence.
    Other(String),
}

impl Error {
    fn new(kind: ErrorKind) -> Self {
        Error { steps: Vec::new(), kind }
    }

    fn within(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.kind, f)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Error::new(ErrorKind::Other(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Error::new(ErrorKind::WrongType(found_text(found), wanted_text(&wanted.to_string())))
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Error::invalid_type(found, wanted)
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Error::new(ErrorKind::UnknownWord(word.to_owned(), known))
    }

    fn unknown_field(_: &str, known: &'static [&'static str]) -> Self {
        Error::new(ErrorKind::UnknownKey(known))
    }

    fn missing_field(key: &'static str) -> Self {
        Error::new(ErrorKind::Missing(key))
    }

    fn duplicate_field(key: &'static str) -> Self {
        Error::new(ErrorKind::Other(format!("`{key}` is given twice: remove one")))
    }
}

fn found_text(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("`{value}`"),
        Unexpected::Signed(value) => format!("`{value}`"),
        Unexpected::Str(text) => format!("`{}`", shortened(text)),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a table".to_owned(),
        Unexpected::Other(text) => text.to_owned(),
        other => other.to_string(),
    }
}

/// Serde's words for a type in words for people.
fn wanted_text(wanted: &str) -> String {
    match wanted {
        "u16" => "a whole number up to 65535".to_owned(),
        "u32" => "a whole number up to 4294967295".to_owned(),
        "u64" => "a whole number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list of tables".to_owned(),
        "path string" => "a path".to_owned(),
        text if text.starts_with("struct ") => "a table".to_owned(),
        text => text.to_owned(),
    }
}

/// Text for a message, cut when it is long.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl Node {
    fn unexpected(&self) -> Unexpected<'_> {
        match self {
            Node::Word(text) | Node::Text(text) => Unexpected::Str(text),
            Node::Bool(value) => Unexpected::Bool(*value),
            Node::Integer(value) => i64::try_from(*value)
                .map(Unexpected::Signed)
                .unwrap_or(Unexpected::Other("a number that is far too large")),
            Node::Other(what) => Unexpected::Other(what),
            Node::List(_) => Unexpected::Seq,
            Node::Table(_) => Unexpected::Map,
            Node::Skip => Unexpected::Unit,
        }
    }

    fn integer<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Error> {
        let value = match self {
            Node::Integer(value) => Some(*value),
            Node::Word(text) => text.parse().ok(),
            _ => None,
        };
        match value {
            Some(value) if value >= 0 => match u64::try_from(value) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => Err(de::Error::invalid_value(Unexpected::Other("a number that is far too large"), &visitor)),
            },
            _ => Err(de::Error::invalid_type(self.unexpected(), &visitor)),
        }
    }
}

macro_rules! integers {
    ($($method:ident)+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.integer(visitor)
        })+
    };
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Node::Word(text) | Node::Text(text) => visitor.visit_borrowed_str(text),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Integer(_) => self.integer(visitor),
            Node::Other(_) | Node::Skip => Err(de::Error::invalid_type(self.unexpected(), &visitor)),
            Node::List(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            Node::Table(entries) => visitor.visit_map(Entries::new(entries, false)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Word(text) => match text.as_str() {
                "true" | "on" | "yes" => visitor.visit_bool(true),
                "false" | "off" | "no" => visitor.visit_bool(false),
                _ => Err(de::Error::invalid_type(self.unexpected(), &visitor)),
            },
            _ => Err(de::Error::invalid_type(self.unexpected(), &visitor)),
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self {
            Node::Table(entries) => visitor.visit_map(Entries::new(entries, true)),
            _ => Err(de::Error::invalid_type(self.unexpected(), &visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self {
            Node::Word(text) | Node::Text(text) => visitor.visit_enum(Variant(text)),
            _ => Err(de::Error::invalid_type(self.unexpected(), &format!("one of {}", list(variants)).as_str())),
        }
    }

    serde::forward_to_deserialize_any! {
        f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// The items of a list that are not given up.
struct Items<'de>(std::iter::Enumerate<std::slice::Iter<'de, Node>>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        match self.0.find(|(_, node)| **node != Node::Skip) {
            Some((index, node)) => seed.deserialize(node).map(Some).map_err(|error| error.within(Step::Index(index))),
            None => Ok(None),
        }
    }
}

/// The entries of a table that are not given up, `kind` first (see [`crate::tagged`]).
struct Entries<'de> {
    kind: Option<&'de (String, Node)>,
    rest: std::slice::Iter<'de, (String, Node)>,
    value: Option<&'de (String, Node)>,
    /// Keys are names of fields, which have one spelling in the types and several for people.
    fields: bool,
}

impl<'de> Entries<'de> {
    fn new(entries: &'de [(String, Node)], fields: bool) -> Self {
        let kind = entries.iter().find(|entry| fields && entry.0 == "kind" && entry.1 != Node::Skip);
        Entries { kind, rest: entries.iter(), value: None, fields }
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let fields = self.fields;
        let next = self
            .kind
            .take()
            .or_else(|| self.rest.find(|entry| entry.1 != Node::Skip && !(fields && entry.0 == "kind")));
        let Some(entry) = next else { return Ok(None) };
        self.value = Some(entry);
        let key = if fields { kebab(&entry.0) } else { entry.0.clone() };
        let key: StrDeserializer<'_, Error> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.within(Step::Key(entry.0.clone())))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some((key, node)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(node).map_err(|error| error.within(Step::Key(key.clone())))
    }
}

/// A word that stands for a variant.
struct Variant<'de>(&'de str);

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = UnitOnly;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, UnitOnly), Error> {
        let word: StrDeserializer<'_, Error> = self.0.into_deserializer();
        seed.deserialize(word).map(|value| (value, UnitOnly))
    }
}

/// The content of a variant: none.
struct UnitOnly;

impl<'de> VariantAccess<'de> for UnitOnly {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Error> {
        Err(de::Error::custom("a word stands here for a table"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        Err(de::Error::custom("a word stands here for a list"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Error> {
        Err(de::Error::custom("a word stands here for a table"))
    }
}

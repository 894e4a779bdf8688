//! Keyboards and pointing devices.

use serde::{Deserialize, Serialize};

/// A keyboard or a pointing device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Keys", into = "Keys")]
pub enum Input {
    /// A USB keyboard.
    UsbKeyboard,
    /// A Mac's keyboard.
    MacKeyboard,
    /// A virtio keyboard.
    VirtioKeyboard,
    /// A USB pointing device with screen coordinates.
    UsbPointing,
    /// A Mac's trackpad.
    MacTrackpad,
    /// A virtio pointing device with screen coordinates.
    VirtioPointing,
}

/// The keys of `[[input]]` and of `--device` with one of the kinds.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    kind: Kind,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    keyboard: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pointing: bool,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    UsbKeyboard,
    MacKeyboard,
    UsbPointing,
    MacTrackpad,
    VirtioInput,
}

impl TryFrom<Keys> for Input {
    type Error = String;

    fn try_from(keys: Keys) -> Result<Self, String> {
        let flags = (keys.keyboard, keys.pointing);
        match (keys.kind, flags) {
            (Kind::VirtioInput, (true, false)) => Ok(Input::VirtioKeyboard),
            (Kind::VirtioInput, (false, true)) => Ok(Input::VirtioPointing),
            (Kind::VirtioInput, _) => Err("virtio-input needs one of `keyboard` and `pointing`".to_owned()),
            (Kind::UsbKeyboard, (_, false)) => Ok(Input::UsbKeyboard),
            (Kind::MacKeyboard, (_, false)) => Ok(Input::MacKeyboard),
            (Kind::UsbPointing, (false, _)) => Ok(Input::UsbPointing),
            (Kind::MacTrackpad, (false, _)) => Ok(Input::MacTrackpad),
            _ => Err("`keyboard` and `pointing` are for virtio-input: remove them".to_owned()),
        }
    }
}

impl From<Input> for Keys {
    fn from(input: Input) -> Self {
        let (kind, keyboard, pointing) = match input {
            Input::UsbKeyboard => (Kind::UsbKeyboard, false, false),
            Input::MacKeyboard => (Kind::MacKeyboard, false, false),
            Input::VirtioKeyboard => (Kind::VirtioInput, true, false),
            Input::UsbPointing => (Kind::UsbPointing, false, false),
            Input::MacTrackpad => (Kind::MacTrackpad, false, false),
            Input::VirtioPointing => (Kind::VirtioInput, false, true),
        };
        Keys { kind, keyboard, pointing }
    }
}

//! Sound.

use serde::{Deserialize, Serialize};

/// A virtio sound device with the streams that it has; without either it would be mute, so output is on then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Keys", into = "Keys")]
pub struct Sound {
    /// The guest hears the host's microphone.
    pub input: bool,
    /// The host plays what the guest does.
    pub output: bool,
}

/// The keys of `[[sound]]` and `--device virtio-sound`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    input: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    output: bool,
}

impl From<Keys> for Sound {
    fn from(keys: Keys) -> Self {
        Sound { input: keys.input, output: keys.output || !keys.input }
    }
}

impl From<Sound> for Keys {
    fn from(sound: Sound) -> Self {
        Keys { input: sound.input, output: sound.output }
    }
}

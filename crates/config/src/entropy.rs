//! The entropy device.

use serde::{Deserialize, Serialize};

/// virtio-rng: random numbers from the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entropy {}

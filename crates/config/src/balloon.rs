//! The memory balloon.

use serde::{Deserialize, Serialize};

/// virtio-balloon: takes memory from the guest and gives it back to the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Balloon {
    /// The guest reports pages that it freed, and the host takes them back at once.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub free_page_reporting: bool,
}

impl Default for Balloon {
    fn default() -> Self {
        Balloon { free_page_reporting: true }
    }
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_yes(value: &bool) -> bool {
    *value
}

//! Platforms: what the machine says that it is.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::tagged::tagged_enum;

/// The machine's model: `kind = "generic"` or `"mac"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Platform {
    /// A board for Linux and other systems.
    Generic(GenericPlatform),
    /// A Mac, for macOS.
    Mac(MacPlatform),
}

tagged_enum!(Platform, "a platform", {
    "generic" => Generic,
    "mac" => Mac,
});

impl Default for Platform {
    fn default() -> Self {
        Platform::Generic(GenericPlatform::default())
    }
}

impl Platform {
    /// Whether this is what a machine has when nothing is said.
    pub(crate) fn is_default(&self) -> bool {
        *self == Platform::default()
    }
}

/// A generic board.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GenericPlatform {
    /// File with the machine identifier, by which a guest knows the machine again.
    #[serde(default, alias = "machine-identifier-path", skip_serializing_if = "Option::is_none")]
    pub machine_identifier: Option<PathBuf>,
}

/// A Mac: three files that belong together and are made when macOS is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MacPlatform {
    /// File with the machine identifier (ECID).
    #[serde(alias = "machine-identifier-path")]
    pub machine_identifier: PathBuf,
    /// File with the hardware model.
    #[serde(alias = "hardware-model-path")]
    pub hardware_model: PathBuf,
    /// Auxiliary storage: NVRAM and boot loader.
    #[serde(alias = "aux-image-path")]
    pub auxiliary_storage: PathBuf,
}

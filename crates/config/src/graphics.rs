//! Displays.

use serde::{Deserialize, Serialize};

/// A display of the guest. Several virtio displays are scanouts of one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Graphics {
    /// The device that drives it.
    #[serde(default)]
    pub kind: GraphicsDevice,
    /// Width in pixels.
    #[serde(default = "default_width")]
    pub width: u32,
    /// Height in pixels.
    #[serde(default = "default_height")]
    pub height: u32,
    /// Pixel density, for a mac display.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels_per_inch: Option<u32>,
    /// The guest's resolution follows the size of the window.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resizable: bool,
}

/// The device that drives a display.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GraphicsDevice {
    /// virtio GPU.
    #[default]
    VirtioGpu,
    /// The display of a mac platform.
    MacDisplay,
}

fn default_width() -> u32 {
    800
}

fn default_height() -> u32 {
    600
}

//! The engines by name.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What runs the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Our software CPU: arm64 guests on any host.
    Soft,
    /// Linux KVM: guests of the host's architecture.
    Kvm,
    /// Apple's Virtualization.framework, on a Mac.
    Vz,
}

impl Engine {
    /// Every engine, in the order in which they are listed to people.
    pub const ALL: [Engine; 3] = [Engine::Soft, Engine::Kvm, Engine::Vz];

    /// The name in configurations and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Engine::Soft => "soft",
            Engine::Kvm => "kvm",
            Engine::Vz => "vz",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

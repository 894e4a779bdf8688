//! Consoles and serial ports.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::choice::exactly_one;

/// A console of the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Keys", into = "Keys")]
pub struct Serial {
    /// The device that the guest sees.
    pub device: SerialDevice,
    /// Where its bytes go.
    pub attachment: SerialAttachment,
    /// The name of a virtio port, seen in Linux as `/dev/virtio-ports/<name>`; without it the port is a console.
    pub name: Option<String>,
}

impl Serial {
    /// A virtio console with the given attachment.
    #[must_use]
    pub fn console(attachment: SerialAttachment) -> Self {
        Serial { device: SerialDevice::VirtioSerial, attachment, name: None }
    }
}

/// The kind of port that the guest sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SerialDevice {
    /// A port of the virtio console: `hvc0` and on.
    #[default]
    VirtioSerial,
    /// The board's PL011 UART: `ttyAMA0`.
    Pl011,
}

/// Where the bytes of a console go to and come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SerialAttachment {
    /// Standard input and output of the process.
    Stdio,
    /// A new pseudo-terminal.
    Pty,
    /// Output into a file; there is no input.
    File {
        /// The file.
        path: PathBuf,
        /// Adds to the file instead of emptying it first.
        append: bool,
    },
    /// A listening unix socket that takes one client at a time.
    Socket {
        /// The socket.
        path: PathBuf,
    },
}

/// The keys of `[[serial]]` and `--device virtio-serial|pl011`.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Keys {
    #[serde(default)]
    kind: SerialDevice,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    stdio: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pty: bool,
    #[serde(default, alias = "file", skip_serializing_if = "Option::is_none")]
    log_file_path: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    append: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    socket: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

impl TryFrom<Keys> for Serial {
    type Error = String;

    fn try_from(keys: Keys) -> Result<Self, String> {
        if keys.append && keys.log_file_path.is_none() {
            return Err("`append` is for a `log-file-path`: remove it".to_owned());
        }
        if keys.name.is_some() && keys.kind == SerialDevice::Pl011 {
            return Err("a pl011 has no `name`: remove it".to_owned());
        }
        let attachment = exactly_one(vec![
            ("stdio", keys.stdio.then_some(SerialAttachment::Stdio)),
            ("pty", keys.pty.then_some(SerialAttachment::Pty)),
            ("log-file-path", keys.log_file_path.map(|path| SerialAttachment::File { path, append: keys.append })),
            ("socket", keys.socket.map(|path| SerialAttachment::Socket { path })),
        ])?;
        Ok(Serial { device: keys.kind, attachment, name: keys.name })
    }
}

impl From<Serial> for Keys {
    fn from(serial: Serial) -> Self {
        let mut keys = Keys { kind: serial.device, name: serial.name, ..Keys::default() };
        match serial.attachment {
            SerialAttachment::Stdio => keys.stdio = true,
            SerialAttachment::Pty => keys.pty = true,
            SerialAttachment::File { path, append } => {
                keys.log_file_path = Some(path);
                keys.append = append;
            }
            SerialAttachment::Socket { path } => keys.socket = Some(path),
        }
        keys
    }
}

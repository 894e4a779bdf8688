//! Consoles, named ports, the clipboard's port, vsock.

use config::{Platform, Serial, SerialAttachment, SerialDevice, VsockDirection};

use super::{Helper, Object, Planner, Port};
use crate::Api;

impl Planner<'_> {
    pub(super) fn ports(&mut self) {
        let machine = self.machine;
        let mut named = Vec::new();
        for (index, serial) in machine.serial.iter().enumerate() {
            let field = format!("serial[{index}]");
            if serial.device == SerialDevice::Pl011 {
                let what = "the framework has no PL011: its guests have no `ttyAMA0`";
                self.refuse(format!("{field}.kind"), what, "use `virtio-serial`, and `console=hvc0` for Linux");
                continue;
            }
            let port = self.port(serial);
            match &serial.name {
                None => self.objects.push(Object::SerialPort(port)),
                Some(name) => {
                    self.need(&format!("{field}.name"), Api::ConsolePort, "remove it: the port is a console then");
                    named.push((name.clone(), port));
                }
            }
        }
        if !named.is_empty() {
            self.objects.push(Object::ConsoleDevice(named));
        }
        self.clipboard();
        self.vsock();
    }

    fn port(&mut self, serial: &Serial) -> Port {
        match &serial.attachment {
            SerialAttachment::Stdio => Port::Stdio,
            SerialAttachment::Pty => Port::Helper(self.help(Helper::Pty)),
            SerialAttachment::File { path, append } => Port::File { path: path.clone(), append: *append },
            SerialAttachment::Socket { path } => Port::Helper(self.help(Helper::ConsoleSocket { path: path.clone() })),
        }
    }

    fn clipboard(&mut self) {
        if !self.machine.clipboard {
            return;
        }
        self.need("clipboard", Api::SpiceAgent, "remove it");
        if matches!(self.machine.platform, Platform::Mac(_)) {
            let what = "macOS brings no SPICE agent, without which the guest shares no clipboard";
            self.warn("clipboard", what, "install one in the guest");
        }
        self.objects.push(Object::SpiceAgent);
    }

    fn vsock(&mut self) {
        let machine = self.machine;
        if machine.vsock.is_empty() {
            return;
        }
        self.objects.push(Object::SocketDevice);
        for vsock in &machine.vsock {
            let direction: VsockDirection = vsock.direction;
            self.help(Helper::VsockPort { port: vsock.port, socket: vsock.socket.clone(), direction });
        }
    }
}

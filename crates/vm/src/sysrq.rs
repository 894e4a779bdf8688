//! The magic SysRq keys of a Linux kernel's console (Linux `Documentation/admin-guide/sysrq.rst`).

use std::thread;
use std::time::Duration;

use devices::virtio::console::PipeEnd;
use machine::Control;

/// What announces a command on an `hvc` console (Linux `drivers/tty/hvc/hvc_console.c`).
const HVC_KEY: u8 = 0x0f;
/// Write all disks, make them read-only, power off.
const COMMANDS: [u8; 3] = *b"suo";
/// The kernel only begins to write disks when it has taken the command.
const PAUSE: Duration = Duration::from_millis(150);
/// How long the guest may take to make room for a key.
const PATIENCE: u32 = 100;

/// The console of a Linux kernel, by its host's end.
pub(crate) enum KernelConsole {
    /// `hvc0`.
    Hvc(PipeEnd),
    /// `ttyAMA0`.
    Uart(PipeEnd),
}

/// The keys.
pub(crate) struct SysRq {
    console: KernelConsole,
    control: Control,
}

impl SysRq {
    pub(crate) fn new(console: KernelConsole, control: Control) -> Self {
        Self { console, control }
    }

    /// Has the kernel write its disks and power off. `false`: it does not listen to its console.
    pub(crate) fn power_off(&self) -> bool {
        COMMANDS.iter().enumerate().all(|(n, command)| {
            if n > 0 {
                thread::sleep(PAUSE);
            }
            self.send(*command)
        })
    }

    fn send(&self, command: u8) -> bool {
        match &self.console {
            KernelConsole::Hvc(end) => end.try_write(&[HVC_KEY, command]) == 2,
            KernelConsole::Uart(end) => {
                let pressed = (0..PATIENCE).any(|_| {
                    let sent = self.control.send_break();
                    if !sent {
                        thread::sleep(Duration::from_millis(1));
                    }
                    sent
                });
                pressed && end.try_write(&[command]) == 1
            }
        }
    }
}

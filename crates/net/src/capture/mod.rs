//! Packet capture: what passes between a card and its network, in a file that Wireshark and tcpdump read.
//!
//! The thread that carries frames only copies them into a bounded queue; another writes. When that falls behind, frames
//! are left out of the file, never held up, and the file says how many.

mod pcapng;
mod writer;

use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;

pub use writer::Options;
use writer::Recorder;

use crate::{Backend, Meta, Offloads, Port, Wake};

/// Which way a frame went, as the guest sees it. The numbers are those of the file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Received = 1,
    Sent = 2,
}

/// A network whose frames are recorded.
pub struct Captured {
    network: Box<dyn Backend>,
    recorder: Recorder,
}

impl Captured {
    /// Records what passes `network` into a new file at `path`. A file that is there already is replaced if it is a
    /// capture or empty; anything else is left alone, which is an error. The file is complete when this is dropped.
    pub fn new(network: Box<dyn Backend>, path: &Path, options: Options) -> io::Result<Self> {
        Ok(Self { network, recorder: Recorder::create(path, options)? })
    }
}

impl Backend for Captured {
    fn wake(&self) -> Wake {
        self.network.wake()
    }

    fn offloads(&self) -> Offloads {
        self.network.offloads()
    }

    fn mtu(&self) -> u16 {
        self.network.mtu()
    }

    fn run(&mut self, port: &mut dyn Port, stop: &AtomicBool) -> io::Result<()> {
        self.network.run(&mut Recorded { port, recorder: &mut self.recorder }, stop)
    }
}

/// A port whose frames are recorded.
struct Recorded<'a> {
    port: &'a mut dyn Port,
    recorder: &'a mut Recorder,
}

impl Port for Recorded<'_> {
    fn pull(&mut self, frame: &mut Vec<u8>) -> Option<Meta> {
        let meta = self.port.pull(frame)?;
        self.recorder.record(frame, Direction::Sent);
        Some(meta)
    }

    fn push(&mut self, frame: &[u8], meta: Meta) -> bool {
        let taken = self.port.push(frame, meta);
        if taken {
            self.recorder.record(frame, Direction::Received);
        }
        taken
    }

    fn offloads(&self) -> Offloads {
        self.port.offloads()
    }

    fn set_carrier(&mut self, up: bool) {
        self.port.set_carrier(up);
    }

    fn flush(&mut self) {
        self.port.flush();
    }

    fn arm(&mut self) -> bool {
        self.port.arm()
    }

    fn arm_for_room(&mut self) -> bool {
        self.port.arm_for_room()
    }
}

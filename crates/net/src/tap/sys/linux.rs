//! Taps of Linux (Documentation/networking/tuntap.rst): frames behind a virtio header, so that the kernel cuts and sums.

use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;

use super::ioctl;
use crate::tap::TapError;
use crate::wire::{Connector, Pump, VnetHeader, Wire};
use crate::{MAX_FRAME, Meta, Offloads};

const FLAGS: libc::c_int = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
/// The packet size of Ethernet, in bytes.
const DEFAULT_MTU: u16 = 1500;
/// Taps that we make are called like this.
const PATTERN: &str = "russet%d";
/// `TUN_F_USO4` and `TUN_F_USO6` (linux/if_tun.h, since Linux 6.2).
const TUN_F_USO: libc::c_uint = 0x60;

fn host(what: &'static str) -> impl Fn(io::Error) -> TapError {
    move |source| TapError::Host { what, source }
}

fn denied(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

fn device() -> io::Result<OwnedFd> {
    Ok(File::options().read(true).write(true).open("/dev/net/tun")?.into())
}

/// See [`open`](crate::tap::open).
pub(in crate::tap) fn open(name: &str) -> Result<Pump, TapError> {
    let refused = |error: io::Error| match denied(&error) {
        true => TapError::Forbidden(name.to_owned()),
        false => host("opening the tap")(error),
    };
    let tun = device().map_err(refused)?;
    let there = ioctl::interface(name).is_ok();
    ioctl::set_tap(tun.as_fd(), name, FLAGS).map_err(refused)?;
    if !there {
        // One that we made has nobody else to set it up.
        ioctl::set_up(name, DEFAULT_MTU).map_err(host("setting the tap up"))?;
    }
    opened(tun)
}

/// See [`bridged`](crate::tap::bridged).
pub(in crate::tap) fn bridged(interface: &str) -> Result<Pump, TapError> {
    let bridge = bridge_of(interface)?;
    let refused = |what| {
        let bridge = bridge.clone();
        move |error: io::Error| match denied(&error) {
            true => TapError::BridgeForbidden(bridge.clone()),
            false => host(what)(error),
        }
    };
    let tun = device().map_err(refused("opening the tap"))?;
    let name = ioctl::set_tap(tun.as_fd(), PATTERN, FLAGS).map_err(refused("making a tap"))?;
    let (index, _) = ioctl::interface(&name).map_err(host("finding the tap"))?;
    let (_, mtu) = ioctl::interface(&bridge).map_err(host("finding the bridge"))?;
    ioctl::set_up(&name, mtu).map_err(refused("setting the tap up"))?;
    ioctl::add_to_bridge(&bridge, index).map_err(refused("putting the tap into the bridge"))?;
    opened(tun)
}

/// The bridge that `interface` is or is in.
fn bridge_of(interface: &str) -> Result<String, TapError> {
    let class = Path::new("/sys/class/net").join(interface);
    if ioctl::interface(interface).is_err() {
        return Err(TapError::Missing(interface.to_owned()));
    }
    if class.join("bridge").exists() {
        return Ok(interface.to_owned());
    }
    let master = fs::read_link(class.join("master")).ok();
    let bridge = master.filter(|_| class.join("brport").exists());
    let bridge = bridge.and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
    bridge.ok_or_else(|| TapError::NoBridge(interface.to_owned()))
}

/// See [`opened`](crate::tap::opened).
pub(in crate::tap) fn opened(tun: OwnedFd) -> Result<Pump, TapError> {
    let (name, flags) = ioctl::tap(tun.as_fd()).map_err(|_| TapError::NotATap)?;
    if flags & libc::IFF_TAP == 0 {
        return Err(TapError::NotATap);
    }
    let header = flags & libc::IFF_VNET_HDR != 0;
    if header {
        ioctl::set_header_size(tun.as_fd(), VnetHeader::SIZE as libc::c_int).map_err(host("setting the tap up"))?;
    }
    rustix::io::ioctl_fionbio(&tun, true).map_err(|error| host("setting the tap up")(error.into()))?;
    // A tap of another network namespace is not listed here.
    let mtu = ioctl::interface(&name).map_or(DEFAULT_MTU, |(_, mtu)| mtu);
    let prefix = if header { VnetHeader::SIZE } else { 0 };
    let tap = Tap { tun, prefix, buffer: vec![0; prefix + MAX_FRAME].into(), uso: false };
    Pump::new(Box::new(Given(Some(tap))), mtu, true).map_err(host("polling the tap"))
}

/// A tap can be had once: when it is deleted, it does not come back.
struct Given(Option<Tap>);

impl Connector for Given {
    fn connect(&mut self) -> io::Result<Option<Box<dyn Wire>>> {
        Ok(self.0.take().map(|tap| Box::new(tap) as Box<dyn Wire>))
    }
}

struct Tap {
    tun: OwnedFd,
    /// Bytes of the header before each frame.
    prefix: usize,
    buffer: Box<[u8]>,
    /// The kernel knows USO.
    uso: bool,
}

impl Wire for Tap {
    fn fd(&self) -> BorrowedFd<'_> {
        self.tun.as_fd()
    }

    fn receive(&mut self, frame: &mut Vec<u8>) -> io::Result<Option<Meta>> {
        loop {
            match rustix::io::readv(&self.tun, &mut [IoSliceMut::new(&mut self.buffer)]) {
                Ok(count) => {
                    let (head, bytes) = self.buffer[..count].split_at(self.prefix.min(count));
                    frame.clear();
                    frame.extend_from_slice(bytes);
                    let meta = match head.first_chunk() {
                        Some(head) => VnetHeader::decode(*head, frame),
                        None => Some(Meta::default()),
                    };
                    // A header that we do not understand: the frame is lost.
                    if meta.is_none() {
                        frame.clear();
                    }
                    return Ok(Some(meta.unwrap_or_default()));
                }
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn send(&mut self, frame: &[u8], meta: Meta) -> io::Result<bool> {
        // The kernel takes no word of ours for a checksum.
        let head = VnetHeader::encode(frame, Meta { verified: false, ..meta });
        loop {
            match rustix::io::writev(&self.tun, &[IoSlice::new(&head[..self.prefix]), IoSlice::new(frame)]) {
                Ok(_) => return Ok(true),
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                // The interface is down (EIO), or the kernel does not like the frame: it is lost.
                Err(Errno::IO | Errno::INVAL | Errno::NOBUFS | Errno::NOMEM | Errno::MSGSIZE) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn takes(&self) -> Offloads {
        match (self.prefix > 0, self.uso) {
            (false, _) => Offloads::empty(),
            (true, true) => Offloads::all(),
            (true, false) => Offloads::all() - Offloads::USO,
        }
    }

    fn offer(&mut self, offloads: Offloads) -> io::Result<()> {
        if self.prefix == 0 {
            return Ok(());
        }
        let all = [
            (Offloads::CHECKSUM, libc::TUN_F_CSUM),
            (Offloads::TSO4, libc::TUN_F_TSO4),
            (Offloads::TSO6, libc::TUN_F_TSO6),
        ];
        let has = all.into_iter().filter(|(offload, _)| offloads.contains(*offload));
        let flags = has.fold(0, |flags, (_, flag)| flags | flag);
        // Who takes datagrams to be cut also cuts them, and USO needs checksums as well.
        self.uso = ioctl::set_offload(self.tun.as_fd(), libc::TUN_F_CSUM | TUN_F_USO).is_ok();
        let uso = if self.uso && offloads.contains(Offloads::USO) { TUN_F_USO } else { 0 };
        ioctl::set_offload(self.tun.as_fd(), flags | uso)
    }
}

//! What of ours runs beside a machine of the framework: disks over NBD, networks, consoles, a kernel that is unpacked.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use block::Disk;
use block::nbd::{Address, Export, Listener, Server, ServerOptions};
use config::{BootLoader, MacAddress, SerialAttachment, Storage, VsockDirection};
use devices::virtio::console::pipe;
use tempfile::TempDir;
use vz::{Helper, NetworkSource, Object, Plan, Resource};

use super::driver::Message;
use super::frames::{Wired, wire};
use super::stream::{Carried, carry};
use super::vsock::{Door, Port};
use crate::{Console, Error, NatCard, open};

/// All of them, as long as the machine is there.
#[derive(Default)]
pub(super) struct Helpers {
    consoles: Vec<Console>,
    cards: Vec<NatCard>,
    ports: Vec<Port>,
    /// Sockets of the host that lead to ports of the guest.
    doors: Vec<(u32, PathBuf)>,
    /// Disks that are served, by their place in the configuration.
    served: Vec<(usize, Arc<dyn Disk>)>,
    running: Vec<Box<dyn Send + Sync>>,
}

/// Gives each card that has none a hardware address, the same each time if it can be: leases and ports are made for it.
pub(super) fn name_cards(config: &mut config::Machine) -> Result<(), Error> {
    let macs = open::macs(config)?;
    config.network.iter_mut().zip(macs).for_each(|(network, mac)| network.mac = Some(MacAddress(mac.0)));
    Ok(())
}

impl Helpers {
    /// Starts what the plan asks for, and gives what each has ready. A console on the terminal goes through us, too, so
    /// that it has its keys: the plan is changed for that, and for a kernel that is unpacked.
    pub(super) fn start(config: &config::Machine, plan: &mut Plan) -> Result<(Self, Vec<Resource>), Error> {
        let mut helpers = Self::default();
        let mut folder = None;
        helpers.unpack_kernel(config, plan, &mut folder)?;
        let mut resources = Vec::new();
        for helper in &plan.helpers {
            resources.push(match helper {
                Helper::NbdServer { storage } => helpers.serve_disk(config, *storage, &mut folder)?,
                Helper::VsockPort { port, socket, direction } => {
                    match direction {
                        VsockDirection::Listen => helpers.ports.push(Port { number: *port, socket: socket.clone() }),
                        VsockDirection::Connect => helpers.doors.push((*port, socket.clone())),
                    }
                    Resource::Later
                }
                // The objects below say what for.
                _ => Resource::Later,
            });
        }
        helpers.networks(config, plan, &mut resources)?;
        helpers.attach_consoles(config, plan, &mut resources)?;
        // Dropped last, after what is in it.
        helpers.running.extend(folder.map(|folder: TempDir| Box::new(folder) as _));
        Ok((helpers, resources))
    }

    pub(super) fn consoles(&self) -> &[Console] {
        &self.consoles
    }

    pub(super) fn cards(&self) -> &[NatCard] {
        &self.cards
    }

    pub(super) fn served(&self) -> &[(usize, Arc<dyn Disk>)] {
        &self.served
    }

    /// vsock ports on which the host is to listen.
    pub(super) fn ports(&self) -> Vec<Port> {
        self.ports.clone()
    }

    /// Opens the sockets that lead to vsock ports of the guest.
    pub(super) fn open_doors(&mut self, messages: &Sender<Message>) -> Result<(), Error> {
        for (port, path) in std::mem::take(&mut self.doors) {
            let door = Door::open(&path, port, messages.clone());
            let field = || format!("vsock port {port}");
            let door = door.map_err(|source| Error::File { field: field(), path: path.clone(), source })?;
            self.running.push(Box::new(door));
        }
        Ok(())
    }

    /// The framework boots plain Images only.
    fn unpack_kernel(
        &mut self,
        config: &config::Machine,
        plan: &mut Plan,
        folder: &mut Option<TempDir>,
    ) -> Result<(), Error> {
        let BootLoader::Linux(linux) = &config.bootloader else { return Ok(()) };
        let field = || "bootloader.kernel".to_owned();
        let failed = |source| Error::File { field: field(), path: linux.kernel.clone(), source };
        let file = File::open(&linux.kernel).map_err(failed)?;
        let mut unpacked = PathBuf::new();
        let make = &mut || {
            unpacked = private(folder)?.join("Image");
            File::create_new(&unpacked)
        };
        let packed = machine::loader::unpack_kernel(&file, plan.memory, make);
        if packed.map_err(|error| Error::unsupported(field(), error.to_string()))? {
            for object in &mut plan.objects {
                if let Object::BootLoader(vz::BootLoader::Linux { kernel, .. }) = object {
                    kernel.clone_from(&unpacked);
                }
            }
        }
        Ok(())
    }

    /// A disk over NBD, on a socket that is ours alone.
    fn serve_disk(
        &mut self,
        config: &config::Machine,
        index: usize,
        folder: &mut Option<TempDir>,
    ) -> Result<Resource, Error> {
        let field = format!("storage[{index}]");
        let host = |source| Error::Host { field: field.clone(), what: "making a folder", source };
        let socket = private(folder).map_err(host)?.join(format!("{index}.sock"));
        let (resource, serving) = serve(&field, &config.storage[index], socket)?;
        self.served.push((index, serving.disk.clone()));
        self.running.push(Box::new(serving));
        Ok(resource)
    }

    fn networks(&mut self, config: &config::Machine, plan: &Plan, resources: &mut [Resource]) -> Result<(), Error> {
        let cards = plan.objects.iter().filter_map(|object| match object {
            Object::Network(card) => Some(card),
            _ => None,
        });
        for (index, (network, card)) in config.network.iter().zip(cards).enumerate() {
            let NetworkSource::Helper { helper, .. } = card.source else { continue };
            let field = format!("network[{index}]");
            if let Some(socket) = open::plain_datagrams(&field, network)? {
                resources[helper] = Resource::Frames(socket);
                continue;
            }
            let mac = net::MacAddr(card.mac.map(|mac| mac.0).unwrap_or_default());
            let backend = open::plugged(&field, network, mac, &mut self.cards)?;
            let host = |source| Error::Host { field, what: "making a pair of sockets", source };
            let (wired, theirs) = wire(backend).map_err(host)?;
            self.running.push(Box::new(Mutex::<Wired>::new(wired)));
            resources[helper] = Resource::Frames(theirs);
        }
        Ok(())
    }

    fn attach_consoles(
        &mut self,
        config: &config::Machine,
        plan: &mut Plan,
        resources: &mut Vec<Resource>,
    ) -> Result<(), Error> {
        let (consoles, named): (Vec<_>, Vec<_>) =
            config.serial.iter().enumerate().partition(|(_, serial)| serial.name.is_none());
        let ports = plan.objects.iter_mut().flat_map(|object| match object {
            Object::SerialPort(port) => vec![port],
            Object::ConsoleDevice(ports) => ports.iter_mut().map(|(_, port)| port).collect(),
            _ => Vec::new(),
        });
        let mut made = Vec::new();
        for ((index, serial), attached) in consoles.into_iter().chain(named).zip(ports) {
            let (port, end) = pipe();
            if let SerialAttachment::File { path, .. } = &serial.attachment {
                // The framework writes it by itself.
                made.push((index, Console::elsewhere(end, path)));
                continue;
            }
            made.push((index, open::console(index, serial, end)?));
            let host = |source| Error::Host { field: format!("serial[{index}]"), what: "making a stream", source };
            let (carried, theirs) = carry(port).map_err(host)?;
            self.running.push(Box::new(Mutex::<Carried>::new(carried)));
            match attached {
                vz::Port::Helper(helper) => resources[*helper] = Resource::Stream(theirs),
                other => {
                    *other = vz::Port::Helper(resources.len());
                    resources.push(Resource::Stream(theirs));
                }
            }
        }
        made.sort_by_key(|(index, _)| *index);
        self.consoles = made.into_iter().map(|(_, console)| console).collect();
        Ok(())
    }
}

/// Serves a disk over NBD on a socket at this path.
pub(super) fn serve(field: &str, storage: &Storage, socket: PathBuf) -> Result<(Resource, Serving), Error> {
    let nbd = |error: block::nbd::Error| Error::unsupported(field, error.to_string());
    let host = |what| move |source| Error::Host { field: field.to_owned(), what, source };
    let disk = open::disk_image(field, storage)?;
    let address = Address::Unix(socket);
    let listener = Listener::bind(&address).map_err(nbd)?;
    let uri = address.uri("", false);
    let (name, description, read_only) = (String::new(), String::new(), storage.read_only);
    let export = Export { name, description, read_only, disk: disk.clone() };
    let server = Server::new(vec![export], ServerOptions::default()).map_err(host("offering the disk"))?;
    let server = Arc::new(server);
    let serving = server.clone();
    let serve = move || {
        if let Err(error) = serving.run(&[listener]) {
            tracing::error!(%error, "a disk is not served any more");
        }
    };
    let thread = std::thread::Builder::new().name("disk".into()).spawn(serve).map_err(host("starting a thread"))?;
    Ok((Resource::Export(uri), Serving { server, thread: Some(thread), disk }))
}

/// A folder of this machine for this user alone.
pub(super) fn private(folder: &mut Option<TempDir>) -> io::Result<&Path> {
    if folder.is_none() {
        *folder = Some(tempfile::Builder::new().prefix("russet-").tempdir()?);
    }
    Ok(folder.as_ref().map_or(Path::new(""), TempDir::path))
}

/// A disk that is served until this is dropped, which flushes it.
pub(super) struct Serving {
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
    disk: Arc<dyn Disk>,
}

impl Serving {
    pub(super) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.server.stopper().stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

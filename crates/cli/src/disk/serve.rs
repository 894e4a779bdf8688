//! `russet disk serve`: disks for any NBD client.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::thread;

use block::image::{Format, Image, ImageOptions};
use block::nbd::{Address, Credentials, Export, Listener, Server, ServerOptions};
use clap::{Args, ValueHint};
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::{Failure, Status};
use crate::say;

const AFTER_HELP: &str = "\
Examples:
  russet disk serve root.qcow2 --snapshot --socket nbd.sock
      One disk on a unix socket, nbd+unix:///?socket=nbd.sock; what clients
      write is thrown away at the end.
  russet disk serve root.img --export root --port 10809
      On TCP, for this host only: nbd://localhost:10809/root. Others reach it
      with --bind 0.0.0.0: then use --tls-dir.
  russet disk serve a.img b.img --export a --export b --read-only
      Several disks on the default port 10809; clients choose by name.

Clients: russet run --device nbd,uri=URI, qemu-img, qemu, nbdcopy, nbdinfo,
nbd-client, Apple's Virtualization framework.
Ctrl-C and SIGTERM end it: requests under way are finished, the disks flushed,
and the socket removed.";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ServeArgs {
    /// The disks: image files or block devices.
    #[arg(required = true, value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    images: Vec<PathBuf>,

    /// The name of the export, once for each image; without it the only image has no name, several have their files'.
    #[arg(short = 'x', long = "export", value_name = "NAME")]
    exports: Vec<String>,

    /// Words about the disks for those who list the exports.
    #[arg(short = 'D', long, value_name = "TEXT", default_value = "")]
    description: String,

    /// Clients cannot write, and other readers may have the images open.
    #[arg(short, long)]
    read_only: bool,

    /// Keep what clients write in a file that is gone at the end, and the images as they are.
    #[arg(short, long, conflicts_with = "read_only")]
    snapshot: bool,

    /// The format of the images: raw, qcow2, vmdk or vhdx. Without it what their names say; never the contents.
    #[arg(short, long)]
    format: Option<Format>,

    /// A folder beside the images' own in which files below them may lie; repeat for more.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    backing_folder: Vec<PathBuf>,

    /// Listen on this unix socket.
    #[arg(short = 'k', long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    socket: Option<PathBuf>,

    /// Listen on this TCP port, 0 for any that is free; 10809 when there is no --socket.
    #[arg(short, long)]
    port: Option<u16>,

    /// The address for TCP: a name or number of this host.
    #[arg(short, long, value_name = "HOST", default_value = "localhost")]
    bind: String,

    /// Clients must use TLS; the folder has server-cert.pem, server-key.pem and ca-cert.pem.
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    tls_dir: Option<PathBuf>,

    /// With TLS, let clients in that show no certificate of the authority in ca-cert.pem.
    #[arg(long, requires = "tls_dir")]
    tls_any_client: bool,

    /// Connections at the same time. With 1 clients are told to use only one.
    #[arg(short = 'e', long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
    shared: u32,

    /// Stop when the last client has left.
    #[arg(long, conflicts_with = "persistent")]
    once: bool,

    /// Go on when the last client has left: this is the default.
    #[arg(short = 't', long)]
    persistent: bool,

    /// Write the process's number to this file once clients can come, and remove it at the end.
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pid_file: Option<PathBuf>,
}

pub(crate) fn execute(args: &ServeArgs, json: bool) -> Result<(), Failure> {
    let host = |error: block::nbd::Error| Failure::new(Status::Host, error.to_string());
    let names = names(args)?;
    let tls = args.tls_dir.as_ref().map(|folder| Credentials::server(folder, !args.tls_any_client));
    let options =
        ServerOptions { max_connections: args.shared as usize, tls: tls.transpose().map_err(host)?, once: args.once };
    let mut exports = Vec::new();
    for (image, name) in args.images.iter().zip(&names) {
        let disk = open(args, image)?.disk;
        let (name, description) = (name.clone(), args.description.clone());
        exports.push(Export { name, description, read_only: args.read_only, disk });
    }
    let listeners = listen(args).map_err(host)?;
    let server = Server::new(exports, options).map_err(|e| system("starting", &e))?;
    let signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(|e| system("listening to signals", &e))?;
    let _pid_file = args.pid_file.as_deref().map(PidFile::write).transpose()?;
    announce(args, &listeners, &names, json)?;
    let server = Arc::new(server);
    let handle = signals.handle();
    stop_by_signal(signals, &server).map_err(|e| system("starting", &e))?;
    let done = server.run(&listeners);
    handle.close();
    done.map_err(|e| Failure::new(Status::Other, format!("{e}; what clients wrote last may be lost")))
}

fn names(args: &ServeArgs) -> Result<Vec<String>, Failure> {
    let wrong = |what: String| Failure::new(Status::Usage, what);
    let names = if !args.exports.is_empty() {
        args.exports.clone()
    } else if args.images.len() == 1 {
        vec![String::new()]
    } else {
        let name = |image: &PathBuf| image.file_name().unwrap_or_default().to_string_lossy().into_owned();
        args.images.iter().map(name).collect()
    };
    if names.len() != args.images.len() {
        let (exports, images) = (names.len(), args.images.len());
        return Err(wrong(format!("--export: {exports} names for {images} images; give one for each")));
    }
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            return Err(wrong(format!("--export: two images are called `{name}`; give each its own name")));
        }
    }
    if let Some(long) = names.iter().chain([&args.description]).find(|text| text.len() > block::nbd::spec::MAX_STRING) {
        return Err(wrong(format!("`{long:.20}...`: names and descriptions have at most 4096 bytes")));
    }
    Ok(names)
}

fn open(args: &ServeArgs, image: &Path) -> Result<Image, Failure> {
    let options = ImageOptions {
        format: args.format,
        read_only: args.read_only,
        snapshot: args.snapshot,
        allowed: args.backing_folder.clone(),
        ..ImageOptions::default()
    };
    Image::open(image, &options).map_err(|error| super::failed(image, error))
}

fn listen(args: &ServeArgs) -> Result<Vec<Listener>, block::nbd::Error> {
    let mut listeners = Vec::new();
    if let Some(path) = &args.socket {
        listeners.push(Listener::bind(&Address::Unix(path.clone()))?);
    }
    if args.port.is_some() || args.socket.is_none() {
        let port = args.port.unwrap_or(block::nbd::DEFAULT_PORT);
        listeners.push(Listener::bind(&Address::Tcp { host: args.bind.clone(), port })?);
    }
    Ok(listeners)
}

/// Says where the exports are, once clients can come.
fn announce(args: &ServeArgs, listeners: &[Listener], names: &[String], json: bool) -> Result<(), Failure> {
    let mut uris = Vec::new();
    for listener in listeners {
        let address = listener.address().map_err(|e| system("listening", &e))?;
        uris.extend(names.iter().map(|name| address.uri(name, args.tls_dir.is_some())));
    }
    if json {
        // A program that waits for this line; if it has gone, there are still clients.
        let _ = writeln!(io::stdout(), "{}", json!({ "uris": uris }));
    } else {
        uris.iter().for_each(|uri| say::line(&format!("serving {uri}")));
    }
    Ok(())
}

fn stop_by_signal(mut signals: Signals, server: &Arc<Server>) -> io::Result<()> {
    let stopper = server.stopper();
    thread::Builder::new().name("signals".to_owned()).spawn(move || signals.forever().for_each(|_| stopper.stop()))?;
    Ok(())
}

/// The file with the process's number, as long as this lives.
struct PidFile(PathBuf);

impl PidFile {
    fn write(path: &Path) -> Result<Self, Failure> {
        let failed = |e| Failure::new(Status::Host, format!("--pid-file: {}: {e}", path.display()));
        fs::write(path, format!("{}\n", process::id())).map_err(failed)?;
        Ok(PidFile(path.into()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Somebody may be quicker.
        let _ = fs::remove_file(&self.0);
    }
}

fn system(what: &str, error: &io::Error) -> Failure {
    Failure::new(Status::Host, format!("{what}: {error}"))
}

//! Disks of a machine that runs: attach, detach, another size.

use std::path::{Path, PathBuf};

use ::config::{Builder, DiskAttachment, Engine, Severity, Storage};
use clap::{Args, ValueHint};
use serde_json::json;
use vm::ThisHost;

use super::size;
use crate::control::{Answer, DiskStatus, Request, ask};
use crate::failure::{Failure, Status};
use crate::run::put_disk;
use crate::say::print;

/// Where the machine is.
#[derive(Debug, Args)]
pub(crate) struct Machine {
    /// The machine's name, or its control socket as given to `russet run --control`.
    #[arg(value_name = "NAME|SOCKET", value_hint = ValueHint::FilePath)]
    socket: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct AttachArgs {
    #[command(flatten)]
    machine: Machine,

    /// The disk: data.img[,KEY=VALUE,..] as for `russet run -d`, such as data.img,bus=nvme,readonly; or
    /// virtio-blk,path=data.img | nvme,path=data.img | .. as for `--device`. On Apple's framework its bus is usb.
    #[arg(value_name = "IMAGE|KIND[,KEY=VALUE,..]")]
    disk: String,
}

#[derive(Debug, Args)]
pub(crate) struct DetachArgs {
    #[command(flatten)]
    machine: Machine,

    /// The disk, as `attach` named it: slot1, slot2, ..
    name: String,

    /// Seconds that the guest has to let go of it. A Linux guest thinks it over for five. Apple's framework asks no
    /// guest: unmount the disk there before.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,

    /// Do not ask the guest, which loses what it has not written.
    #[arg(long, conflicts_with = "timeout")]
    force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SetSizeArgs {
    #[command(flatten)]
    machine: Machine,

    /// The disk: disk0, disk1, .. of the configuration, slot1, slot2, .. attached later.
    name: String,

    /// The new size: bytes, or with K, M, G, T in powers of 1024.
    #[arg(value_parser = size::parse)]
    size: u64,

    /// Allow a smaller size: what is beyond it is lost.
    #[arg(long)]
    shrink: bool,
}

pub(super) fn list(machine: &Machine, json: bool) -> Result<(), Failure> {
    disks(&ask(&machine.socket, &Request::Disks {})?, json)
}

pub(super) fn attach(args: &AttachArgs, json: bool) -> Result<(), Failure> {
    let mut disk = parse(&args.disk)?;
    // The machine may have another working folder.
    let absolute = |path: &mut PathBuf| *path = std::path::absolute(&*path).unwrap_or_else(|_| path.clone());
    match &mut disk.attachment {
        DiskAttachment::Image { path, backing_folder, .. } => {
            absolute(path);
            backing_folder.iter_mut().for_each(absolute);
        }
        DiskAttachment::BlockDevice { path } => absolute(path),
        DiskAttachment::Nbd { .. } => {}
    }
    match ask(&args.machine.socket, &Request::AttachDisk { disk })? {
        Answer::Attached(name) if json => print(&json!({ "name": name }).to_string()),
        Answer::Attached(name) => print(&name),
        other => return Err(unexpected(&other)),
    }
    Ok(())
}

pub(super) fn detach(args: &DetachArgs, json: bool) -> Result<(), Failure> {
    let seconds = (!args.force).then_some(args.timeout);
    disks(&ask(&args.machine.socket, &Request::DetachDisk { name: args.name.clone(), seconds })?, json)
}

pub(super) fn set_size(args: &SetSizeArgs, json: bool) -> Result<(), Failure> {
    let Answer::Disks(all) = ask(&args.machine.socket, &Request::Disks {})? else {
        return Err(Failure::new(Status::Other, "the machine does not tell its disks"));
    };
    let now = all.iter().find(|disk| disk.name == args.name).and_then(|disk| disk.size).unwrap_or_default();
    if args.size < now && !args.shrink {
        let what =
            format!("{} has {now} bytes, and what is beyond {} would be lost: add --shrink", args.name, args.size);
        return Err(Failure::new(Status::Usage, what));
    }
    let request = Request::ResizeDisk { name: args.name.clone(), size: args.size };
    disks(&ask(&args.machine.socket, &request)?, json)
}

/// The disk that an argument describes, with everything that is wrong with it.
fn parse(text: &str) -> Result<Storage, Failure> {
    let mut builder = Builder::new();
    builder.bootloader_with("linux", &[("kernel", "-"), ("cmdline", "")], "");
    match is_image(text) {
        true => put_disk(&mut builder, "disk", text, &[]),
        false => builder.device(text),
    };
    let parsed = builder.finish();
    let mut problems = parsed.check(Engine::Soft, &ThisHost);
    // There is no machine here for which anything else could be wrong.
    problems.retain(|problem| !problem.path.starts_with("bootloader"));
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(Failure::configuration(problems));
    }
    let disk = parsed.machine.and_then(|machine| machine.storage.into_iter().next());
    disk.ok_or_else(|| {
        Failure::new(Status::Usage, format!("`{text}` is no disk: write IMAGE, virtio-blk,path=.. or nvme,path=.."))
    })
}

/// Whether a disk begins with the name of its image rather than with its kind.
fn is_image(text: &str) -> bool {
    let name = text.split(',').next().unwrap_or_default();
    name.contains(['.', '/']) || Path::new(text).exists() || Path::new(name).exists()
}

fn disks(answer: &Answer, json: bool) -> Result<(), Failure> {
    let Answer::Disks(disks) = answer else { return Err(unexpected(answer)) };
    if json {
        print(&json!(disks).to_string());
        return Ok(());
    }
    for DiskStatus { name, size, read_only } in disks {
        let size = size.map_or_else(|| "size not known".to_owned(), |size| format!("{size} bytes"));
        print(&format!("{name}\t{size}{}", if *read_only { "\tread-only" } else { "" }));
    }
    Ok(())
}

fn unexpected(answer: &Answer) -> Failure {
    Failure::new(Status::Other, format!("the machine's answer is not to what was asked: {answer:?}"))
}

#[cfg(test)]
mod tests {
    use ::config::StorageDevice;

    use super::*;

    #[test]
    fn only_disks_can_be_attached() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().display();
        assert!(parse(&format!("nvme,path={path}")).is_ok());
        let disk = parse(&format!("{path},bus=nvme,readonly")).unwrap();
        assert!(disk.device == StorageDevice::Nvme && disk.read_only);
        assert!(parse("none.img").unwrap_err().to_string().contains("`none.img` does not exist"));
        assert!(parse("virtio-rng").unwrap_err().to_string().contains("no disk"));
        assert!(parse("nvme,path=/nowhere/x").unwrap_err().to_string().contains("/nowhere/x"));
        assert!(parse("nvme").is_err());
    }
}

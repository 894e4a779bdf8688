//! `russet clone`.

use std::path::Path;

use ::config::{Machine, Platform};
use clap::Args;
use serde_json::json;
use vm::{BundleError, CloneMode, Draft, MachineName};

use super::{failed, name_cards, open, refuse_suspended, store};
use crate::disk::{CloneHow, Work};
use crate::failure::{Failure, Status};
use crate::say::print;

#[derive(Debug, Args)]
#[command(after_help = "\
A copy takes no time and no space where the file system can share blocks (APFS,
XFS, btrfs). Where it cannot, a disk that the machine writes to gets a name in
both folders and is not written to any more, and each machine goes on in an
overlay of its own, such as Disk.1.qcow2. The machines are independent: run,
clone, rename or delete each as you like; the space of the common disk is free
when the last of them is deleted. After `russet disk rebase --flatten` an
overlay stands alone, and the file below it can be removed from that folder. A
raw disk of a machine on Apple's framework is copied byte by byte instead, and
so are all disks with --mode copy.

The copy gets network addresses and a machine identifier of its own; what its
guest has written down of itself, such as host keys of SSH, is the same in both.
Files outside the machine's folder are used by both: give a disk that both write
to one of them a copy.")]
pub(crate) struct CloneArgs {
    /// The machine, which must not run.
    name: MachineName,
    /// The name of the copy.
    new: MachineName,
    /// How to copy the disks that the machine writes to.
    #[arg(long, value_enum, default_value = "auto")]
    mode: CloneHow,
    /// Keep the network addresses and the machine identifier.
    ///
    /// The two are one machine to networks and to Apple then, and must never run at the same time: switches and DHCP
    /// servers confuse them, and iCloud signs one of them out.
    #[arg(long)]
    keep_identity: bool,
}

pub(crate) fn execute(args: &CloneArgs, json: bool) -> Result<(), Failure> {
    let bundle = open(&args.name)?;
    let lock = bundle.lock().map_err(failed)?;
    refuse_suspended(&bundle)?;
    let draft = store()?.draft(&args.new).map_err(failed)?;
    let work = Work::start("copying", 0, json)?;
    let copied = bundle.clone_to(&lock, draft, args.mode.into(), &mut |done, of| work.step_of(done, of));
    let mut copy = match copied {
        Err(BundleError::Disk(error)) => work.end(bundle.folder(), Err(error))?,
        copied => copied.map_err(failed)?,
    };
    if !args.keep_identity {
        renew(&mut copy.machine, &copy.draft, new_identity)?;
    }
    let disks = copy.disks().to_vec();
    let made = copy.finish().map_err(failed)?;
    if json {
        let disks: Vec<_> = disks.iter().map(|(file, how)| json!({ "file": file, "how": word(*how) })).collect();
        print(&json!({ "name": made.name().as_str(), "path": made.folder(), "disks": disks }).to_string());
        return Ok(());
    }
    print(&format!("made {}: russet run {0}", made.name()));
    for (file, _) in disks.iter().filter(|(_, how)| *how == CloneMode::Overlay) {
        print(&format!(
            "{}: an overlay above what {} had, which nobody writes to any more",
            file.display(),
            bundle.name()
        ));
    }
    Ok(())
}

/// How a disk was copied, for programs.
fn word(mode: CloneMode) -> &'static str {
    match mode {
        CloneMode::Auto => "auto",
        CloneMode::Reflink => "reflink",
        CloneMode::Overlay => "overlay",
        CloneMode::Copy => "copy",
    }
}

/// A new machine identifier for a platform, on a host that makes one.
fn new_identity(platform: &Platform) -> Option<Vec<u8>> {
    match platform {
        Platform::Mac(_) => vm::new_mac_identifier(),
        Platform::Generic(_) => vm::new_generic_identifier(),
    }
}

/// Makes the copy another machine: to networks by its addresses, to its guest by its machine identifier.
fn renew(machine: &mut Machine, draft: &Draft, new: impl Fn(&Platform) -> Option<Vec<u8>>) -> Result<(), Failure> {
    machine.network.iter_mut().for_each(|network| network.mac = None);
    name_cards(machine)?;
    let identifier = match &machine.platform {
        Platform::Mac(mac) => Some(&mac.machine_identifier),
        Platform::Generic(generic) => generic.machine_identifier.as_ref(),
    };
    identifier.map_or(Ok(()), |path| put_identity(draft, path, new(&machine.platform)))
}

/// Gives the copy a machine identifier of its own.
fn put_identity(draft: &Draft, path: &Path, identity: Option<Vec<u8>>) -> Result<(), Failure> {
    let wrong = |what: &str| Failure::new(Status::Host, format!("{}: {what}", path.display()));
    let identity = identity.ok_or_else(|| {
        wrong("only a Mac makes new machine identifiers: add --keep-identity, and never run both at once")
    })?;
    match path.parent() == Some(draft.folder()) {
        true => {
            let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| wrong("the name is not UTF-8"))?;
            draft.put(name, &identity).map_err(failed)
        }
        false => Err(wrong("the machine identifier is not in the machine's folder: add --keep-identity")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use vm::Store;

    use super::*;

    const MAC: &str = "bootloader = { kind = \"macos\" }\nnetwork = [{ nat = true, mac = \"52:54:00:12:34:56\" }]\n\
                       platform = { kind = \"mac\", machine-identifier = \"MachineIdentifier\", hardware-model = \
                       \"HardwareModel\", auxiliary-storage = \"AuxiliaryStorage\" }";

    #[test]
    fn a_copy_of_a_mac_is_another_mac_of_the_same_model() {
        let root = tempfile::tempdir().unwrap();
        let draft = Store::in_folder(root.path()).draft(&"copy".parse().unwrap()).unwrap();
        let mut machine = Machine::from_toml(MAC).unwrap();
        let old = machine.network[0].mac;
        machine.map_paths(|path| draft.folder().join(path));
        for name in ["MachineIdentifier", "HardwareModel", "AuxiliaryStorage"] {
            draft.put(name, b"old").unwrap();
        }
        // As on a host that makes none.
        let error = renew(&mut machine, &draft, |_| None).unwrap_err();
        assert!(error.status == Status::Host && error.to_string().contains("add --keep-identity"), "{error}");
        renew(&mut machine, &draft, |platform| matches!(platform, Platform::Mac(_)).then(|| b"new".to_vec())).unwrap();
        let read = |name: &str| fs::read(draft.folder().join(name)).unwrap();
        assert_eq!((read("MachineIdentifier"), read("HardwareModel")), (b"new".to_vec(), b"old".to_vec()));
        assert!(machine.network[0].mac.is_some() && machine.network[0].mac != old);

        // One that is elsewhere is the other machine's.
        machine.map_paths(|path| root.path().join(path.file_name().unwrap()));
        assert!(renew(&mut machine, &draft, |_| Some(Vec::new())).is_err());
    }
}

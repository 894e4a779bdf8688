//! `russet create`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ::config::{Engine, HostFacts, Machine, Platform, Problem, Severity, Storage};
use clap::{Args, ValueHint};
use serde_json::json;
use vm::{Bundle, Draft, MachineName, RestoreSource, Sha256, ThisHost};

use super::{failed, macos, name_cards, store};
use crate::debian::{self, Guest};
use crate::disk::size;
use crate::failure::{Failure, Status};
use crate::run::{Description, MachineArgs, Own, fetch_guest};
use crate::say;
use crate::say::print;

/// Longest path of a unix socket on every system.
const MAX_SOCKET_PATH: usize = 103;

const AFTER_HELP: &str = "\
Examples:
  russet create web debian --disk-size 20G
      Debian's kernel and a root prompt, with an empty disk /dev/vda.
  russet create box --disk-size 20G -c debian.iso
      Boots by UEFI from the first disk that can.
  russet create sonoma --macos latest
      macOS, fetched from Apple and installed: on a Mac with Apple silicon.
  russet create dev -k Image -d root.img -a 'console=hvc0 root=/dev/vda1'

The machine is a folder: `russet list` says where. What is named here stays
where it is; the disk of --disk-size and the variables of UEFI are in the
folder. Each network card keeps its address.

With --macos the machine gets a disk of 64G, 4 CPUs, 8 GiB, NAT, a display,
keyboard, trackpad and sound where nothing else is said. A restore image has
some 15 GB; it is kept for the next machine, where the system keeps caches,
until `russet prune`. Its length is checked, and its SHA-256 where Apple's
server or --sha256 says one. Ctrl-C at any point leaves no machine, and what was
downloaded is gone on with the next time. The Mac does not go to sleep by itself
meanwhile.";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct CreateArgs {
    /// What the machine is called.
    pub(super) name: MachineName,

    #[command(flatten)]
    pub(super) machine: MachineArgs,

    /// Make an empty disk of this size, such as 20G, that takes space as the guest writes. It is the first one.
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub(super) disk_size: Option<u64>,

    /// Install macOS, on a Mac with Apple silicon: the latest that it can, from a restore image, or from a URL of one.
    #[arg(long, value_name = "latest|IPSW|URL", value_hint = ValueHint::FilePath,
          conflicts_with_all = ["target", "kernel", "cmdline", "bootloader", "platform", "rosetta"])]
    macos: Option<RestoreSource>,

    /// With --macos: the SHA-256 of the restore image.
    #[arg(long, value_name = "HEX", requires = "macos")]
    pub(super) sha256: Option<Sha256>,
}

pub(crate) fn execute(args: &CreateArgs, json: bool) -> Result<(), Failure> {
    if let Some(source) = &args.macos {
        return macos::create(args, source, json);
    }
    let draft = begin(&args.name)?;
    let guest = match args.machine.names_debian() {
        true => Some(keep(&fetch_guest(&debian::Request::default())?, &draft, json)?),
        false => None,
    };
    let file = args.machine.target.as_deref().filter(|_| guest.is_none());
    let variables = draft.folder().join("EfiVariables");
    let mut description = args.machine.describe_from(file, guest.as_ref(), Some(Own::Firmware(&variables)))?;
    let disk = args.disk_size.map(|size| make_disk(draft.folder(), size)).transpose()?;
    let machine = complete(&mut description, &draft, disk, &ThisHost)?;
    tell(&draft.finish(machine).map_err(failed)?, json);
    Ok(())
}

/// Begins a machine whose control socket will have a path that is short enough.
pub(super) fn begin(name: &MachineName) -> Result<Draft, Failure> {
    let draft = store()?.draft(name).map_err(failed)?;
    let place = draft.folder().with_file_name(name.as_str());
    match place.join("control.sock").as_os_str().len() > MAX_SOCKET_PATH {
        true => {
            let what = format!("{}: the path is too long for a socket: choose a shorter name", place.display());
            Err(Failure::new(Status::Usage, what))
        }
        false => Ok(draft),
    }
}

/// Completes a description by an empty disk and by addresses and an identity for good, and checks it.
pub(super) fn complete<'a>(
    description: &'a mut Description,
    draft: &Draft,
    disk: Option<PathBuf>,
    host: &dyn HostFacts,
) -> Result<&'a Machine, Failure> {
    if let Some(machine) = &mut description.parsed.machine {
        machine.map_paths(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        disk.into_iter().for_each(|disk| machine.storage.insert(0, Storage::image(disk)));
        name_cards(machine)?;
        identify(machine, draft)?;
    }
    let problems = description.parsed.check(description.engine(), host);
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(Failure::configuration(problems));
    }
    problems.iter().for_each(say::warning);
    let machine = description.parsed.machine.as_ref();
    machine.ok_or_else(|| Failure::new(Status::Usage, "there is no machine in the configuration"))
}

/// Says that there is a machine.
pub(super) fn tell(bundle: &Bundle, json: bool) {
    match json {
        true => print(&json!({ "name": bundle.name().as_str(), "path": bundle.folder() }).to_string()),
        false => print(&format!("made {}: russet run {0}", bundle.name())),
    }
}

/// Takes a guest from the cache, where it may be replaced, into the machine's folder.
fn keep(guest: &Guest, draft: &Draft, json: bool) -> Result<Guest, Failure> {
    let take = |from: &Path, name: &str| {
        let to = draft.folder().join(name);
        crate::disk::copy_file(from, &to, json).map(|()| to)
    };
    let (kernel, initrd) = (take(&guest.kernel, "Image")?, take(&guest.initrd, "initrd")?);
    Ok(Guest { kernel, initrd, release: guest.release.clone() })
}

/// Gives a machine of Apple's framework an identity that stays: a saved state fits the same machine only.
fn identify(machine: &mut Machine, draft: &Draft) -> Result<(), Failure> {
    let engine = machine.engine.unwrap_or_else(vm::default_engine);
    let Platform::Generic(generic) = &mut machine.platform else { return Ok(()) };
    if engine != Engine::Vz || generic.machine_identifier.is_some() {
        return Ok(());
    }
    if let Some(identity) = vm::new_generic_identifier() {
        draft.put("MachineIdentifier", &identity).map_err(failed)?;
        generic.machine_identifier = Some(draft.folder().join("MachineIdentifier"));
    }
    Ok(())
}

/// Makes the machine's own disk, which takes space as the guest writes: that there may be too little of it is said.
pub(super) fn make_disk(folder: &Path, size: u64) -> Result<PathBuf, Failure> {
    let path = folder.join("Disk.img");
    if size == 0 || !size.is_multiple_of(512) {
        return Err(Failure::new(Status::Usage, "--disk-size: a disk has a multiple of 512 bytes, and some"));
    }
    let made = File::create_new(&path).and_then(|file| file.set_len(size).and_then(|()| file.sync_all()));
    made.map_err(|error| {
        // The draft removes it, too; it says nothing then.
        let _ = fs::remove_file(&path);
        Failure::new(Status::Host, format!("{}: {error}", path.display()))
    })?;
    if let Some(warning) = vm::free_space(folder).and_then(|free| outgrows(size, free, folder)) {
        say::warning(&warning);
    }
    Ok(path)
}

/// What is to be said of a disk of `size` bytes where `free` are free.
fn outgrows(size: u64, free: u64, folder: &Path) -> Option<Problem> {
    let (has, are) = (size::words(size), size::words(free));
    let what = format!("the disk can take {has}, and {are} are free in {}", folder.parent()?.display());
    let mend = "free some before the guest has used them up, or give a smaller --disk-size";
    (size > free).then(|| Problem::warning("storage[0]", what, mend))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_may_outgrow_what_is_free_is_warned_of() {
        let warning = |size| outgrows(size, 4 << 30, Path::new("/m/.one.part")).map(|problem| problem.to_string());
        assert_eq!(warning(4 << 30), None);
        assert_eq!(
            warning(20 << 30).unwrap(),
            "warning: storage[0]: the disk can take 20.00 GiB, and 4.00 GiB are free in /m: free some before the guest has \
             used them up, or give a smaller --disk-size"
        );
    }
}

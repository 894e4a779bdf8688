//! `russet share`: folders of the host that a running machine shows to its guest.

use std::path::{Path, PathBuf};

use ::config::{Builder, Engine, Severity, Share, ShareSource, SharedDirectory};
use clap::{Args, Subcommand, ValueHint};
use serde_json::json;
use vm::ThisHost;

use crate::control::{Answer, Request, ask};
use crate::failure::{Failure, Status};
use crate::say::print;

#[derive(Debug, Subcommand)]
pub(crate) enum ShareCommand {
    /// Show folders in a share of a machine that runs, until it ends.
    ///
    /// A share of the machine's configuration stays; what it shows can be other folders. On Apple's framework only. One
    /// folder takes the place of another, folders by name join those that are there. A guest that has the share mounted may
    /// have to mount it anew.
    Attach(AttachArgs),
    /// Take a folder, or all, out of a share of a machine that runs. The share stays.
    Detach(DetachArgs),
    /// List the shares of a machine that runs, and what each shows.
    #[command(visible_alias = "ls")]
    List(Machine),
}

/// Where the machine is.
#[derive(Debug, Args)]
pub(crate) struct Machine {
    /// The machine's name, or its control socket as given to `russet run --control`.
    #[arg(value_name = "NAME|SOCKET", value_hint = ValueHint::FilePath)]
    socket: PathBuf,
}

const ATTACH_HELP: &str = "\
Examples:
  russet share attach web virtio-fs,mount-tag=data,shared-dir=src,readonly
  russet share attach mac virtio-fs,automount,directories.a.path=/Volumes/a
  russet set web --device virtio-fs,mount-tag=data,empty   one for later";

#[derive(Debug, Args)]
#[command(after_help = ATTACH_HELP)]
pub(crate) struct AttachArgs {
    #[command(flatten)]
    machine: Machine,

    /// The share, by its tag, and the folders, as for `russet run --device`.
    #[arg(value_name = "KIND,KEY=VALUE,..")]
    share: String,
}

#[derive(Debug, Args)]
pub(crate) struct DetachArgs {
    #[command(flatten)]
    machine: Machine,

    /// The share's tag; `automount` for the one that macOS guests mount on their own.
    tag: String,

    /// The folder, by its name among several; without it, all.
    folder: Option<String>,
}

pub(crate) fn execute(command: &ShareCommand, as_json: bool) -> Result<(), Failure> {
    let (machine, request) = match command {
        ShareCommand::Attach(args) => (&args.machine, Request::AttachShare { share: parse(&args.share)? }),
        ShareCommand::Detach(args) => {
            let tag = if args.tag == AUTOMOUNT { ::config::AUTOMOUNT_TAG } else { &args.tag };
            (&args.machine, Request::DetachShare { tag: tag.to_owned(), folder: args.folder.clone() })
        }
        ShareCommand::List(machine) => (machine, Request::Shares {}),
    };
    match ask(&machine.socket, &request)? {
        Answer::Shares(shares) if as_json => print(&json!(shares).to_string()),
        Answer::Shares(shares) => shares.iter().flat_map(lines).for_each(|line| print(&line)),
        other => {
            let what = format!("the machine's answer is not to what was asked: {other:?}");
            return Err(Failure::new(Status::Other, what));
        }
    }
    Ok(())
}

/// What people call the tag that macOS guests mount on their own.
const AUTOMOUNT: &str = "automount";

/// The share that an argument describes, with everything that is wrong with it.
fn parse(text: &str) -> Result<Share, Failure> {
    let mut builder = Builder::new();
    builder.bootloader_with("linux", &[("kernel", "-"), ("cmdline", "")], "");
    builder.device(text);
    let mut parsed = builder.finish();
    // The machine may have another working folder.
    if let Some(machine) = &mut parsed.machine {
        machine.map_paths(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    }
    let mut problems = parsed.check(Engine::Vz, &ThisHost);
    // There is no machine here for which anything else could be wrong.
    problems.retain(|problem| !problem.path.starts_with("bootloader") && problem.path != "engine");
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(Failure::configuration(problems));
    }
    let share = parsed.machine.and_then(|machine| machine.share.into_iter().next());
    share.ok_or_else(|| {
        let what = format!("`{text}` is no share: write virtio-fs,mount-tag=TAG,shared-dir=FOLDER");
        Failure::new(Status::Usage, what)
    })
}

/// A share for people: a line for each folder.
fn lines(share: &Share) -> Vec<String> {
    let tag = if share.tag == ::config::AUTOMOUNT_TAG { AUTOMOUNT } else { &share.tag };
    let folder = |name: &str, SharedDirectory { path, read_only }: &SharedDirectory| {
        format!("{name}\t{}{}", Path::display(path), if *read_only { "\tread-only" } else { "" })
    };
    match &share.source {
        ShareSource::Single(directory) => vec![folder(tag, directory)],
        ShareSource::Multiple(directories) if directories.is_empty() => vec![format!("{tag}\tempty")],
        ShareSource::Multiple(directories) => {
            directories.iter().map(|(name, directory)| folder(&format!("{tag}/{name}"), directory)).collect()
        }
        ShareSource::Rosetta { .. } => vec![format!("{tag}\tRosetta")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_what_a_device_is_and_its_paths_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        let share =
            parse(&format!("virtio-fs,mount-tag=data,directories.a.path={path},directories.a.readonly")).unwrap();
        assert_eq!(lines(&share), [format!("data/a\t{path}\tread-only")]);
        let ShareSource::Single(here) = parse("virtio-fs,automount,shared-dir=.").unwrap().source else { panic!() };
        assert!(here.path.is_absolute());
        for (text, reason) in [
            ("virtio-rng", "is no share"),
            ("virtio-fs,mount-tag=data", "one of `shared-dir`, `directories` and `empty` must be given"),
            ("virtio-fs,mount-tag=data,shared-dir=/nowhere/x", "`/nowhere/x` does not exist"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn shares_are_listed_by_folder() {
        let listed = |text: &str| {
            let machine = format!("bootloader = {{ kind = \"linux\", kernel = \"Image\" }}\nshare = [{text}]");
            ::config::Machine::from_toml(&machine).unwrap().share.iter().flat_map(lines).collect::<Vec<_>>()
        };
        let several =
            "{ automount = true, directories = { a = { path = \"/a\" }, b = { path = \"/b\", readonly = true } } }";
        assert_eq!(listed(several), ["automount/a\t/a", "automount/b\t/b\tread-only"]);
        assert_eq!(listed("{ mount-tag = \"later\", empty = true }"), ["later\tempty"]);
        assert_eq!(listed("{ kind = \"rosetta\", mount-tag = \"x86\" }"), ["x86\tRosetta"]);
    }
}

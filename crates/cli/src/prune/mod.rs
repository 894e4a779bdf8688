//! `russet prune`: what was fetched and can be had again, with its size, and its removal.

mod debian;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use crate::disk::size;
use crate::failure::{Failure, Status};
use crate::host;
use crate::machine::{agreed, sweep};
use crate::say;
use crate::say::print;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  russet prune --list  restore images of macOS and Debian's guest, with sizes
  russet prune         the same, and asks whether to remove them

Machines stay as they are: they have copies of what they need. What a command
uses at the moment stays, too. A machine of `russet create` that was killed in
the making is removed here as by every `russet list`.")]
pub(crate) struct PruneArgs {
    /// Say what there is, and remove nothing.
    #[arg(long, short, conflicts_with = "force")]
    list: bool,

    /// Do not ask.
    #[arg(long, short)]
    force: bool,
}

/// Something that is kept to be used again.
struct Item {
    what: &'static str,
    path: PathBuf,
    /// Bytes.
    size: u64,
    used: bool,
    kind: Kind,
}

enum Kind {
    Image(vm::KeptFile),
    Debian,
}

impl Item {
    /// Removes it, unless it is used; whether it is gone.
    fn remove(&self) -> Result<bool, Failure> {
        let removed = match &self.kind {
            Kind::Image(file) => file.remove().map_err(|error| error.to_string()),
            Kind::Debian => debian::remove(&self.path).map_err(|error| format!("{}: {error}", self.path.display())),
        };
        removed.map_err(|error| Failure::new(Status::Host, error))
    }

    fn to_json(&self) -> Value {
        json!({ "what": self.what, "path": self.path, "size": self.size, "used": self.used })
    }
}

pub(crate) fn execute(args: &PruneArgs, json: bool) -> Result<(), Failure> {
    let cache = host::cache().ok_or_else(|| Failure::new(Status::Host, "there is no cache folder: set HOME"))?;
    if !args.list {
        sweep()?;
    }
    let mut items = images(&cache.join("macos"))?;
    items.extend(suites(&cache.join("debian")));
    let total: u64 = items.iter().filter(|item| !item.used).map(|item| item.size).sum();
    if !json {
        show(&items, &cache);
    }
    if args.list || items.is_empty() {
        if json {
            print(&json!({ "kept": items.iter().map(Item::to_json).collect::<Vec<_>>() }).to_string());
        }
        return Ok(());
    }
    if !args.force && !agreed(&format!("Remove them? That frees {}.", size::words(total)))? {
        return Err(Failure::new(Status::Other, "nothing was removed"));
    }
    let (mut removed, mut kept) = (Vec::new(), Vec::new());
    for item in &items {
        if item.remove()? { &mut removed } else { &mut kept }.push(item);
    }
    let freed: u64 = removed.iter().map(|item| item.size).sum();
    if json {
        let list = |items: &[&Item]| items.iter().map(|item| item.to_json()).collect::<Vec<_>>();
        print(&json!({ "removed": list(&removed), "kept": list(&kept), "freed": freed }).to_string());
    } else {
        kept.iter().for_each(|item| say::line(&format!("{} is in use and stays", item.path.display())));
        print(&format!("freed {}", size::words(freed)));
    }
    Ok(())
}

fn show(items: &[Item], cache: &Path) {
    if items.is_empty() {
        return print(&format!("nothing is kept in {}", cache.display()));
    }
    for Item { what, path, size, used, .. } in items {
        let used = if *used { ", in use" } else { "" };
        print(&format!("{:>10}  {what}{used}: {}", size::words(*size), path.display()));
    }
}

/// Restore images of macOS.
fn images(folder: &Path) -> Result<Vec<Item>, Failure> {
    let kept = vm::kept_files(folder).map_err(|error| Failure::new(Status::Host, error.to_string()))?;
    let images = kept.into_iter().filter(|file| file.place.extension().is_some_and(|kind| kind == "ipsw"));
    let item = |file: vm::KeptFile| Item {
        what: if file.whole { "macOS" } else { "a part of macOS" },
        path: file.place.clone(),
        size: file.length,
        used: file.is_used(),
        kind: Kind::Image(file),
    };
    Ok(images.map(item).collect())
}

/// The guests of `russet run debian`, by suite.
fn suites(folder: &Path) -> Vec<Item> {
    let suites = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut suites: Vec<_> = suites.filter(|path| path.is_dir()).collect();
    suites.sort();
    let item = |path: PathBuf| {
        let (size, used) = (size_of(&path), debian::is_used(&path));
        Item { what: "Debian", path, size, used, kind: Kind::Debian }
    };
    suites.into_iter().map(item).filter(|item| item.size > 0).collect()
}

/// Bytes of all files in a folder.
fn size_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size_of(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

//! Checks of the files that a machine names.

use std::path::Path;

use crate::paths::Role;
use crate::{FileKind, HostFacts, Machine, Problem};

pub(super) fn check(machine: &Machine, host: &dyn HostFacts, problems: &mut Vec<Problem>) {
    machine.for_each_path(|field, path, role| {
        if let Some((what, mend)) = wrong(path, role, host) {
            problems.push(Problem::error(field, what, mend));
        }
    });
}

/// What is wrong with `path` for its role, and how to mend it.
fn wrong(path: &Path, role: Role, host: &dyn HostFacts) -> Option<(String, &'static str)> {
    let name = path.display();
    if path.as_os_str().is_empty() {
        return Some(("the path is empty".to_owned(), "give a path"));
    }
    let found = host.file(path);
    let trouble = |what: &str, mend: &'static str| Some((format!("`{name}` {what}"), mend));
    match (role, found) {
        (Role::Create, FileKind::Directory) => trouble("is a folder", "give the path of a file"),
        (Role::Create, FileKind::File { writable: false } | FileKind::Unreadable) => {
            trouble("cannot be written by this user", "change its permissions or give another path")
        }
        (Role::Create, _) => match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) if host.file(parent) == FileKind::Missing => {
                trouble("is to be made in a folder that does not exist", "make the folder or correct the path")
            }
            _ => None,
        },
        (Role::Directory, FileKind::Directory) => None,
        (Role::Directory, FileKind::Missing) => trouble("does not exist", "make the folder or correct the path"),
        (Role::Directory, _) => trouble("is not a folder", "give a folder"),
        (_, FileKind::Missing) => trouble("does not exist", "correct the path"),
        (_, FileKind::Unreadable) => trouble("cannot be read by this user", "change its permissions"),
        (_, FileKind::Directory) => trouble("is a folder", "give the path of a file"),
        (Role::Socket, FileKind::Socket) => None,
        (Role::Socket, _) => trouble("is not a socket", "give the socket of a network program"),
        (Role::BlockDevice { write }, FileKind::BlockDevice { writable }) => match write && !writable {
            true => trouble("cannot be written by this user", "add `readonly` or change its permissions"),
            false => None,
        },
        (Role::BlockDevice { .. }, _) => trouble("is not a block device", "leave out `type=dev` for a disk image"),
        (Role::ReadWrite, FileKind::File { writable: false }) => {
            trouble("cannot be written by this user", "add `readonly` or change its permissions")
        }
        (Role::ReadWrite, FileKind::BlockDevice { .. }) => {
            trouble("is a block device", "add `type=dev` to use a block device of the host as a disk")
        }
        (Role::Read | Role::ReadWrite, FileKind::Socket) => trouble("is a socket", "give the path of a file"),
        (Role::Read | Role::ReadWrite, _) => None,
    }
}

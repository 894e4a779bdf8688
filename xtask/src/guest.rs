//! Guest images for tests and benches.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use crate::debian::{self, Bar, Guest, Request};
use crate::shell::{self, has, output, print, run as sh};

/// An image to prepare.
#[derive(Subcommand)]
pub(crate) enum Image {
    /// Debian's arm64 cloud kernel and the initial RAM disk of `russet run debian`
    Debian {
        /// Another suite than the host's, such as trixie or bookworm-backports
        #[arg(long)]
        suite: Option<String>,
        /// Look for a newer one
        #[arg(long)]
        refresh: bool,
    },
    /// An arm64 Debian with perl, python3, openssl, gzip, dhclient, curl, iperf3 and fio on an ext4 image
    Root {
        /// The suite
        #[arg(long, default_value = "bookworm")]
        suite: String,
        /// Make it again
        #[arg(long)]
        refresh: bool,
    },
}

pub(crate) fn run(image: &Image) -> Result<()> {
    match image {
        Image::Debian { suite, refresh } => {
            let guest = debian(suite.as_deref(), *refresh)?;
            print(&format!("{}\n{}", guest.kernel.display(), guest.initrd.display()))
        }
        Image::Root { suite, refresh } => print(&root(suite, *refresh)?.display().to_string()),
    }
}

/// The kernel and initial RAM disk, from the user's cache or the network.
pub(crate) fn debian(suite: Option<&str>, refresh: bool) -> Result<Guest> {
    debian::fetch(&Request { suite: suite.map(str::to_owned), refresh }, &Bar::new())
}

/// Size of the root image. It is sparse.
const ROOT_SIZE: &str = "2G";
/// Beside the essential ones.
const ROOT_PACKAGES: &str = "perl,python3-minimal,openssl,gzip,isc-dhcp-client,curl,iperf3,fio";

/// What the packages' own scripts would have done and the programs need. They are not run: that would want an arm64
/// CPU here, or the right to register an emulator with the host's kernel.
const FINISH: &str = r#"
mkdir "$1/tree"
tar -xf "$1/tree.tar" -C "$1/tree"
for name in passwd group; do cp "$1/tree/usr/share/base-passwd/$name.master" "$1/tree/etc/$name"; done
[ -e "$1/tree/usr/bin/awk" ] || ln -s mawk "$1/tree/usr/bin/awk"
echo debian >"$1/tree/etc/hostname"
rm -rf "$1/tree/usr/share/doc" "$1/tree/usr/share/man" "$1/tree/usr/share/locale"
PATH="$PATH:/usr/sbin:/sbin" mke2fs -q -t ext4 -L root -d "$1/tree" "$1/root.img" "$2"
"#;

/// The image of a root file system, `target/guests/root-SUITE.img`. It has no init: boot it with `init=/bin/sh`, or
/// mount it from the initial RAM disk of `guest debian`.
pub(crate) fn root(suite: &str, refresh: bool) -> Result<PathBuf> {
    let folder = shell::target().join("guests");
    fs::create_dir_all(&folder)?;
    let image = folder.join(format!("root-{suite}.img"));
    // One that was made before it held all of these is made again.
    let holds = folder.join(format!("root-{suite}.packages"));
    if image.is_file() && !refresh && fs::read_to_string(&holds).is_ok_and(|packages| packages == ROOT_PACKAGES) {
        return Ok(image);
    }
    for (program, package) in [("mmdebstrap", "mmdebstrap"), ("mke2fs", "e2fsprogs")] {
        if !has(program) && !Path::new("/usr/sbin").join(program).is_file() {
            bail!("{program} is missing: apt-get install {package}");
        }
    }
    let work = tempfile::tempdir_in(&folder)?;
    sh(Command::new("mmdebstrap")
        .args(["--architectures=arm64", "--variant=extract", "--include=?essential"])
        .arg(format!("--include={ROOT_PACKAGES}"))
        .args([suite.as_ref(), work.path().join("tree.tar").as_os_str()])
        .arg(mirror()?)
        .stdout(std::process::Stdio::null()))?;
    // Owners are kept by fakeroot when we are not root.
    let root = output(Command::new("id").arg("-u"))?.trim() == "0";
    let mut make = Command::new(if root { "env" } else { "fakeroot" });
    sh(make.args(["sh", "-e", "-c", FINISH, "sh"]).arg(work.path()).arg(ROOT_SIZE))?;
    fs::rename(work.path().join("root.img"), &image)?;
    fs::write(holds, ROOT_PACKAGES)?;
    Ok(image)
}

/// The Debian mirror of the host's apt.
fn mirror() -> Result<String> {
    let uris = output(Command::new("apt-get").args(["--print-uris", "update"]))?;
    let mirror = uris.lines().filter_map(|l| l.strip_prefix('\'')?.split_once("/dists/"));
    let mirror = mirror.map(|(site, _)| site).find(|s| s.trim_end_matches('/').ends_with("/debian"));
    mirror.map(str::to_owned).context("apt's sources on this host name no Debian mirror")
}

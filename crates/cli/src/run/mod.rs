//! `russet run`: a machine in this terminal.

mod account;
mod attachments;
mod cloud_init;
mod describe;
mod gdb;
mod macos;
mod panics;
mod pid_file;
mod session;
mod signals;
mod stats;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::config::{Engine, Machine, Platform, Severity};
use clap::{Args, ValueEnum, ValueHint};
use vm::{Bundle, BundleLock, ThisHost, Windows};

pub(crate) use self::describe::{Description, Own, put_disk};
pub(crate) use self::signals::{Listener, Signal};

use self::account::AccountArgs;
use self::attachments::Attachments;
use self::cloud_init::Seed;
use self::gdb::GdbAddress;
use self::pid_file::PidFile;
use crate::control::RestUri;
use crate::debian::{self, Guest};
use crate::failure::{Failure, Status};
use crate::host;
use crate::{machine, say};

const AFTER_HELP: &str = "\
The same machine can be given in five ways, and they mix: arguments add devices
to a file and replace the rest.

  russet run debian
      Debian's newest arm64 cloud kernel with a busybox root prompt, fetched
      once through apt.
  russet run -k Image -i initrd.gz -d root.img -c install.iso -p 4 -m 2048 \\
             -a 'console=hvc0 root=/dev/vda1' -t 0
      vftool's flags: NAT, entropy and a balloon are there; the console is a
      new pty unless -t 0.
  russet run --bootloader linux,kernel=Image,initrd=initrd.gz,cmdline=quiet \\
             --cpus 4 --memory 2048 --device virtio-blk,path=root.img \\
             --device virtio-net,nat --device virtio-rng \\
             --device virtio-serial,stdio
      vfkit's grammar: what you name is there and nothing else.
  russet run NAME
      A machine of `russet create` and `russet list`. A suspended one goes on
      from where it was.
  russet run machine.toml
      A file; `russet config show` makes one of arguments, `russet config check`
      checks it.

Keys on a raw terminal: Ctrl-] and then
  p  ask the guest to power off      q  stop the machine at once
  ?  show these keys                 Ctrl-]  send Ctrl-] to the guest
With -t 0 Ctrl-C is not sent to the guest: it asks the guest to power off, the
second one stops the machine at once, as SIGINT does. One SIGTERM, SIGHUP or
SIGQUIT is enough: a guest that does not listen is stopped at once, one that has
not powered off after --stop-timeout then.";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) machine: MachineArgs,

    /// With `debian`: look for a newer kernel even if one was fetched before.
    #[arg(long)]
    refresh: bool,

    /// With `debian`: the suite, such as trixie or bookworm-backports.
    #[arg(long, value_name = "SUITE")]
    suite: Option<String>,

    /// What the software CPU does with hot code; `off` and `stress` are for tests and bug reports.
    #[arg(long, value_enum, default_value_t = Jit::On)]
    jit: Jit,

    /// Listen on this unix socket for `russet ip`, `russet port` and programs that speak its lines of JSON.
    #[arg(long, value_name = "SOCKET", value_hint = ValueHint::FilePath)]
    control: Option<PathBuf>,

    /// Listen for vfkit's REST requests at tcp://HOST:PORT or unix:///PATH.
    ///
    /// GET /vm/state, POST /vm/state with {"state":"Pause"}, Resume, Stop or HardStop, and GET /vm/inspect. Every user of
    /// this host can reach a TCP port, and stop the machine; a unix socket is yours alone.
    #[arg(long, value_name = "URI", default_value = "none", hide_default_value = true)]
    restful_uri: RestUri,

    /// Listen for GDB on this TCP port of this host alone (0: any free one), or on a unix socket.
    ///
    /// For `gdb-multiarch vmlinux -ex 'target remote :1234'`. Each CPU is a thread. A GDB that connects halts the machine,
    /// one that detaches lets it run, and `kill` stops it hard. Breakpoints and watchpoints are virtual addresses, as many
    /// as you like, and invisible to the guest; no interrupt comes during a single step. `monitor help` lists what GDB
    /// has no word for. Start a Linux guest with `nokaslr` to find its symbols where they are.
    #[arg(long, value_name = "PORT|unix:PATH")]
    gdb: Option<GdbAddress>,

    /// With --gdb: execute nothing until a GDB continues the machine.
    #[arg(long, requires = "gdb")]
    gdb_wait: bool,

    /// Configure the guest by cloud-init: files called user-data, meta-data, network-config or vendor-data.
    ///
    /// The guest finds them on one more disk, read-only and the last, which is there for this run.
    #[arg(long, value_name = "FILE,..", value_delimiter = ',', value_hint = ValueHint::FilePath)]
    cloud_init: Vec<PathBuf>,

    /// Write the number of this process into this file, and remove it at the end.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pidfile: Option<PathBuf>,

    /// Open no window, though the machine has a display. (Windows are on Macs.)
    #[arg(long, conflicts_with = "gui")]
    headless: bool,

    /// Start a macOS guest into its recovery system.
    #[arg(long, conflicts_with = "account")]
    recovery: bool,

    /// Start a suspended machine anew, as after a loss of power: what it has not written to its disks is lost.
    #[arg(long)]
    discard_state: bool,

    #[command(flatten)]
    account: AccountArgs,

    /// Seconds that the guest has to power off after SIGTERM, SIGHUP or SIGQUIT, before it is stopped by force.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    stop_timeout: u64,

    /// At the end, write what the engine counted on each CPU to standard error.
    #[arg(long)]
    stats: bool,
}

/// What the software CPU does with hot code.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Jit {
    /// Interpret everything.
    Off,
    /// Translate hot code to the host's instructions.
    On,
    /// Translate everything before it runs, and leave it as often as possible.
    Stress,
}

impl From<Jit> for vm::JitMode {
    fn from(jit: Jit) -> Self {
        match jit {
            Jit::Off => Self::Off,
            Jit::On => Self::On,
            Jit::Stress => Self::Stress,
        }
    }
}

/// The arguments that describe a machine.
#[derive(Debug, Default, Args)]
pub(crate) struct MachineArgs {
    /// A machine of `russet list`, `debian`, or a machine's TOML file.
    #[arg(value_name = "NAME|debian|FILE", value_hint = ValueHint::FilePath)]
    pub(crate) target: Option<PathBuf>,

    /// The engine: soft, kvm or vz [default: vz on a Mac that lets this program, else soft]
    #[arg(long)]
    engine: Option<String>,

    /// Linux kernel to boot: an arm64 Image, also gzip or EFI zboot.
    #[arg(short, long, conflicts_with = "bootloader", value_hint = ValueHint::FilePath)]
    kernel: Option<String>,

    /// Initial RAM disk.
    #[arg(short, long, requires = "kernel", value_hint = ValueHint::FilePath)]
    initrd: Option<String>,

    /// The kernel's command line [default: console=hvc0]
    #[arg(short = 'a', long = "kernel-cmdline", value_name = "CMDLINE")]
    cmdline: Option<String>,

    #[command(flatten)]
    attachments: Attachments,

    /// Bridge the network to this interface of the host, instead of NAT.
    #[arg(short, long = "bridge", value_name = "INTERFACE")]
    bridged: Option<String>,

    /// Let a port of the host lead to the guest: `[ADDRESS:]HOSTPORT:GUESTPORT[/udp]`, or PATH:GUESTPORT for a unix
    /// socket. Ports may be ranges; without an address it is 127.0.0.1. Repeat for more.
    #[arg(long, value_name = "PUBLISH")]
    publish: Vec<::config::Publish>,

    /// Number of virtual CPUs [default: 1]
    #[arg(short = 'p', long)]
    cpus: Option<String>,

    /// Memory in MiB, or with a unit, such as 2G [default: 512]
    #[arg(short, long, value_name = "SIZE")]
    memory: Option<String>,

    /// The console of -k: 0 is standard input and output, 1 a new pty that is waited for [default: 1]
    #[arg(short = 't', long = "tty", value_name = "0|1", value_parser = clap::value_parser!(u8).range(0..=1))]
    tty: Option<u8>,

    /// Boot loader: linux,kernel=.. | efi,variable-store=.. | macos
    #[arg(long, value_name = "KIND,KEY=VALUE,..")]
    bootloader: Option<String>,

    /// Platform: generic | mac,machine-identifier=..,hardware-model=..,auxiliary-storage=..
    #[arg(long, value_name = "KIND,KEY=VALUE,..")]
    platform: Option<String>,

    /// Offer the guest virtualization of its own.
    #[arg(long)]
    nested: bool,

    /// Share the clipboard with the guest.
    #[arg(long)]
    clipboard: bool,

    /// Add a display and a keyboard, where none is named; on a Mac they are in a window.
    #[arg(long)]
    gui: bool,

    /// On a Mac: let an arm64 Linux guest run x86-64 programs by Apple's Rosetta, in a share called `rosetta`.
    ///
    /// In the guest, once: mkdir -p /media/rosetta; mount -t virtiofs rosetta /media/rosetta; and then, as one line into
    /// /proc/sys/fs/binfmt_misc/register (where systemd is, into /etc/binfmt.d/rosetta.conf for every boot):
    /// :rosetta:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00:\xff\xff\xff\xff\xff\xfe\xfe\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/media/rosetta/rosetta:OCF
    #[arg(long)]
    rosetta: bool,
}

impl MachineArgs {
    /// The arguments that only name a file.
    pub(crate) fn of_file(file: &Path, engine: Option<&str>) -> Self {
        // As a path even when the file is called `debian`.
        let target = Some(Path::new(".").join(file));
        MachineArgs { target, engine: engine.map(str::to_owned), ..MachineArgs::default() }
    }
}

/// Runs the machine that the arguments describe.
pub(crate) fn execute(args: &RunArgs, windows: Option<Windows>, json: bool) -> Result<(), Failure> {
    if !args.machine.is_debian() && (args.refresh || args.suite.is_some()) {
        return Err(Failure::new(Status::Usage, "--suite and --refresh are for `russet run debian`: leave them out"));
    }
    host::allow_files();
    args.machine.check_boot()?;
    let bundle = args.machine.bundle();
    let lock = bundle.as_ref().map(Bundle::lock).transpose().map_err(machine::failed)?;
    let guest = match args.machine.is_debian() {
        true => Some(fetch(args)?),
        false => None,
    };
    let mut description = args.machine.describe_with(guest.as_ref())?;
    let seed = if args.cloud_init.is_empty() { None } else { Some(Seed::new(&args.cloud_init)?) };
    if let (Some(machine), Some(seed)) = (&mut description.parsed.machine, &seed) {
        machine.storage.push(seed.storage());
    }
    let problems = description.parsed.check(description.engine(), &ThisHost);
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(Failure::configuration(problems));
    }
    problems.iter().for_each(say::warning);
    let engine = description.engine();
    let Some(mut machine) = description.parsed.machine else {
        return Err(Failure::new(Status::Usage, "there is no machine in the configuration"));
    };
    let restore = args.saved_state(bundle.as_ref())?;
    if let (Some(bundle), Some(lock), None, Engine::Vz) = (&bundle, &lock, &restore, engine) {
        identify(bundle, lock, &mut machine, vm::new_generic_identifier)?;
    }
    let suspend_to = bundle.as_ref().map(Bundle::saved_state);
    let account = args.account.read()?;
    let _pid_file = args.pidfile.as_deref().map(PidFile::new).transpose()?;
    let control: Vec<PathBuf> = args.control.iter().cloned().chain(bundle.as_ref().map(Bundle::control)).collect();
    let title = bundle.as_ref().map_or("russet", |bundle| bundle.name().as_str());
    let options = session::Options {
        title,
        recovery: args.recovery,
        restore: restore.as_deref(),
        suspend_to: suspend_to.as_deref(),
        account: account.as_ref(),
        wait_for_client: description.wait_for_client,
        keep_ctrl_c: description.keep_ctrl_c,
        jit: args.jit.into(),
        control: &control,
        rest: &args.restful_uri,
        gdb: args.gdb.as_ref(),
        gdb_wait: args.gdb_wait,
        patience: Duration::from_secs(args.stop_timeout),
        stats: args.stats,
        json,
    };
    session::run(&machine, options, windows.filter(|_| !args.headless))
}

/// Gives a kept machine of Apple's framework that has no identity one that stays. Those that an older russet made, or that
/// were made on another host, have none, and a saved state fits the same machine only.
fn identify(
    bundle: &Bundle,
    lock: &BundleLock,
    machine: &mut Machine,
    new: impl FnOnce() -> Option<Vec<u8>>,
) -> Result<(), Failure> {
    let Platform::Generic(generic) = &mut machine.platform else { return Ok(()) };
    if generic.machine_identifier.is_some() {
        return Ok(());
    }
    let Some(identity) = new() else { return Ok(()) };
    if bundle.identify(lock, &identity).map_err(machine::failed)?
        && let Platform::Generic(kept) = bundle.read().map_err(machine::failed)?.platform
    {
        generic.machine_identifier = kept.machine_identifier;
    }
    Ok(())
}

impl RunArgs {
    /// The saved state from which the machine goes on, if it is to.
    fn saved_state(&self, bundle: Option<&Bundle>) -> Result<Option<PathBuf>, Failure> {
        let Some(bundle) = bundle else {
            let what = "--discard-state is for a machine of `russet list`: leave it out";
            return if self.discard_state { Err(Failure::new(Status::Usage, what)) } else { Ok(None) };
        };
        let saved = Some(bundle.saved_state()).filter(|_| bundle.is_suspended());
        match saved {
            Some(state) if self.discard_state => match std::fs::remove_file(&state) {
                Ok(()) => Ok(None),
                Err(error) => Err(Failure::new(Status::Host, format!("{}: {error}", state.display()))),
            },
            Some(_) if self.recovery || self.account.is_given() => {
                let what = "a suspended machine goes on and does not start: add --discard-state";
                Err(Failure::new(Status::Usage, what))
            }
            saved => Ok(saved),
        }
    }
}

/// Debian's guest, from the cache or the network.
fn fetch(args: &RunArgs) -> Result<Guest, Failure> {
    fetch_guest(&debian::Request { suite: args.suite.clone(), refresh: args.refresh })
}

pub(crate) fn fetch_guest(request: &debian::Request) -> Result<Guest, Failure> {
    debian::fetch(request, &debian::Bar::new()).map_err(|error| Failure::because(Status::Host, &error))
}

#[cfg(test)]
mod tests {
    use vm::Store;

    use super::*;

    #[test]
    fn a_machine_without_an_identity_gets_one_when_it_runs_on_the_framework_and_keeps_it() {
        let root = tempfile::tempdir().unwrap();
        let draft = Store::in_folder(root.path()).draft(&"old".parse().unwrap()).unwrap();
        let text = "bootloader = { kind = \"linux\", kernel = \"Image\" }";
        let bundle = draft.finish(&Machine::from_toml(text).unwrap()).unwrap();
        let lock = bundle.lock().unwrap();
        let identity = |machine: &Machine| match &machine.platform {
            Platform::Generic(generic) => generic.machine_identifier.clone(),
            Platform::Mac(_) => None,
        };
        // As on a host that makes none.
        let mut machine = bundle.read().unwrap();
        identify(&bundle, &lock, &mut machine, || None).unwrap();
        assert_eq!((identity(&machine), bundle.files().unwrap().len()), (None, 0));

        // What the arguments of this run have changed is not kept.
        machine.cpus = 3;
        identify(&bundle, &lock, &mut machine, || Some(b"one".to_vec())).unwrap();
        let path = identity(&machine).unwrap();
        assert_eq!((std::fs::read(&path).unwrap(), machine.cpus), (b"one".to_vec(), 3));
        let kept = bundle.read().unwrap();
        assert_eq!((identity(&kept), kept.cpus), (Some(path.clone()), 1));
        let mut again = kept;
        identify(&bundle, &lock, &mut again, || panic!("it has one")).unwrap();
        assert!(!bundle.identify(&lock, b"two").unwrap());
        assert_eq!(std::fs::read(path).unwrap(), b"one");
    }
}

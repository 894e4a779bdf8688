//! The plan: all rules of the framework, and of the Mac at hand, applied to one configuration.

mod apis;
mod boot;
mod devices;
mod disks;
mod networks;
mod object;
mod ports;
mod shares;
mod show;
mod vmnet;

use config::{Machine, Platform as Configured, Problem};

use crate::{Api, Host};

pub use boot::MACOS_GUESTS;
pub use disks::{Drive, plan_drive};
pub use object::{
    BlockSync, BootLoader, Disk, DiskDevice, DiskSource, Folders, Helper, ImageSync, Keyboard, Network, NetworkSource,
    Object, Platform, Pointing, Port, Share,
};
pub use shares::plan_share;
pub use vmnet::{Vmnet, VmnetForward, VmnetService};

/// What is asked of the framework, and what of ours runs beside it.
///
/// Its `Display` form is for people: a line for each object, and below it what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// `CPUCount`.
    pub cpus: u32,
    /// `memorySize`, in bytes.
    pub memory: u64,
    /// What is started before the objects are made, in this order.
    pub helpers: Vec<Helper>,
    /// The objects, in the order in which they are made and listed.
    pub objects: Vec<Object>,
    /// Whether the framework is to be asked if it can save the machine's state; else why a saved state would be none.
    pub saves: Result<(), String>,
    /// Whether it can be stopped hard.
    pub stops: bool,
    /// With what the machine can run and may disappoint.
    pub warnings: Vec<Problem>,
}

/// Plans a machine, which `validate()` has found no error in, on a Mac.
///
/// # Errors
/// Everything that this Mac or the framework cannot do, by field, with the reason and the mend.
pub fn plan(machine: &Machine, host: &Host) -> Result<Plan, Vec<Problem>> {
    let mut planner = Planner::new(machine, host);
    planner.program();
    planner.size();
    planner.boot();
    planner.disks();
    planner.networks();
    planner.ports();
    planner.shares();
    planner.devices();
    let (saves, stops) = (planner.saves(), planner.has(Api::Stop));
    let Planner { helpers, objects, problems: warnings, .. } = planner.finish()?;
    Ok(Plan { cpus: machine.cpus, memory: machine.memory << 20, helpers, objects, saves, stops, warnings })
}

/// A plan in the making.
struct Planner<'a> {
    machine: &'a Machine,
    host: &'a Host,
    helpers: Vec<Helper>,
    objects: Vec<Object>,
    problems: Vec<Problem>,
}

impl<'a> Planner<'a> {
    fn new(machine: &'a Machine, host: &'a Host) -> Self {
        Self { machine, host, helpers: Vec::new(), objects: Vec::new(), problems: Vec::new() }
    }

    /// It as it is, with warnings, or all problems where one is an error.
    fn finish(self) -> Result<Self, Vec<Problem>> {
        let bad = self.problems.iter().any(|problem| problem.severity == config::Severity::Error);
        if bad { Err(self.problems) } else { Ok(self) }
    }

    fn refuse(&mut self, field: impl Into<String>, what: impl Into<String>, mend: impl Into<String>) {
        self.problems.push(Problem::error(field, what, mend));
    }

    fn warn(&mut self, field: impl Into<String>, what: impl Into<String>, mend: impl Into<String>) {
        self.problems.push(Problem::warning(field, what, mend));
    }

    /// Refuses `field` on a macOS that is older than the class or member that it needs. `instead` says what to do
    /// other than updating.
    fn need(&mut self, field: &str, api: Api, instead: &str) {
        self.problems.extend(self.host.need(field, api, instead).err());
    }

    /// Whether this Mac's macOS has it.
    fn has(&self, api: Api) -> bool {
        self.host.has(api)
    }

    /// The framework restores a state into the same machine only, by its identifier.
    fn saves(&self) -> Result<(), String> {
        if !self.has(Api::SaveState) {
            let (purpose, since) = (Api::SaveState.purpose(), Api::SaveState.since());
            return Err(format!("{purpose}, came with {since}, and this Mac has {}", self.host.macos));
        }
        match &self.machine.platform {
            Configured::Generic(generic) if generic.machine_identifier.is_none() => {
                let what = "without a `machine-identifier` in its platform it is another machine each time it starts, and a \
                            saved state fits the same one only";
                Err(what.to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Adds a helper and says its place.
    fn help(&mut self, helper: Helper) -> usize {
        self.helpers.push(helper);
        self.helpers.len() - 1
    }

    /// What the program itself needs, whatever the machine is.
    fn program(&mut self) {
        let first = Api::LinuxBootLoader.since();
        if self.host.macos < first {
            let what = format!("Virtualization.framework came with {first}, this Mac has {}", self.host.macos);
            self.refuse("engine", what, "update macOS, or choose the engine `soft`");
        } else if !self.has(Api::Stop) {
            let what = "macOS 11 stops no machine hard: one whose guest does not power off ends with russet";
            self.warn("engine", what, format!("update to {} or later", Api::Stop.since()));
        }
        if !self.host.entitlements.virtualization {
            let what = "this program is not signed with the right `com.apple.security.virtualization`";
            let mend = "sign it: codesign --force --sign - --entitlements crates/vz/entitlements/russet.entitlements \"$(which russet)\"";
            self.refuse("engine", what, mend);
        }
        if !self.host.apple_silicon {
            let what = "this is an Intel Mac, whose guests are x86-64; machines of Russet are arm64";
            self.refuse("engine", what, "choose the engine `soft`, or use a Mac with Apple silicon");
        } else if !self.host.supported {
            let what = "Virtualization.framework does not work here, as in a macOS that is a guest itself";
            self.refuse("engine", what, "choose the engine `soft`, or run it on the Mac itself");
        }
    }

    fn size(&mut self) {
        let (cpus, memory) = (&self.host.cpus, &self.host.memory);
        let (least, most) = (*cpus.start(), *cpus.end());
        if !cpus.contains(&self.machine.cpus) {
            let what = format!("a machine on this Mac has {least} to {most} CPUs, not {}", self.machine.cpus);
            self.refuse("cpus", what, format!("give {}", self.machine.cpus.clamp(least, most)));
        }
        let (least, most) = (*memory.start(), *memory.end());
        if !memory.contains(&self.machine.memory) {
            let what = format!("a machine on this Mac has {least} to {most} MiB, not {}", self.machine.memory);
            self.refuse("memory", what, format!("give {}", self.machine.memory.clamp(least, most)));
        }
    }
}

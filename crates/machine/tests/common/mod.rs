//! An engine whose CPUs run a Rust function instead of a guest, and a reader of device trees.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::time::Duration;

use hv::{BootState, CpuInputs, Error, Exit, GuestMemory, Kick, Vcpu, VcpuEnv, VcpuSeed, Vm};
use machine::{Boot, LinuxBoot, Machine, Parts};
use vm_memory::{Bytes, GuestAddress};

/// What a CPU does each time it is run.
pub(crate) type Program = Arc<dyn Fn(&Cpu) -> Exit + Send + Sync>;

/// What the outside can do to a CPU.
#[derive(Default)]
pub(crate) struct Lines {
    pub(crate) irq: AtomicBool,
    kicked: Mutex<bool>,
    changed: Condvar,
}

impl CpuInputs for Lines {
    fn set_irq(&self, level: bool) {
        self.irq.store(level, Ordering::SeqCst);
        self.changed.notify_all();
    }

    fn set_fiq(&self, _: bool) {}
}

impl Kick for Lines {
    fn kick(&self) {
        *self.kicked.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

/// A CPU as its program sees it.
pub(crate) struct Cpu {
    pub(crate) index: u32,
    pub(crate) boot: Option<BootState>,
    pub(crate) memory: GuestMemory,
    pub(crate) env: VcpuEnv,
    pub(crate) lines: Arc<Lines>,
}

impl Cpu {
    /// Waits to be kicked, as a CPU that is off does.
    pub(crate) fn sleep(&self) -> Exit {
        let mut kicked = self.lines.kicked.lock().unwrap();
        while !*kicked {
            kicked = self.lines.changed.wait(kicked).unwrap();
        }
        *kicked = false;
        Exit::Kicked
    }

    pub(crate) fn read32(&self, addr: u64) -> u32 {
        let mut data = [0; 4];
        self.env.mmio.read(addr, &mut data);
        u32::from_le_bytes(data)
    }

    pub(crate) fn write32(&self, addr: u64, value: u32) {
        self.env.mmio.write(addr, &value.to_le_bytes());
    }

    /// The device tree that X0 points at.
    pub(crate) fn tree(&self) -> Tree {
        let at = self.boot.unwrap().x0;
        assert_eq!(at % 8, 0);
        let header: [u8; 8] = self.memory.read_obj(GuestAddress(at)).unwrap();
        let mut blob = vec![0; u32::from_be_bytes(header[4..].try_into().unwrap()) as usize];
        self.memory.read_slice(&mut blob, GuestAddress(at)).unwrap();
        parse(&blob)
    }
}

/// Times that were taken out of the guest's.
pub(crate) type Skipped = Arc<Mutex<Vec<Duration>>>;

struct FakeVm {
    memory: GuestMemory,
    program: Program,
    skipped: Skipped,
    lines: Vec<Arc<Lines>>,
}

struct Seed(Cpu, Program);

impl Vm for FakeVm {
    fn vcpu(&self, index: u32, env: VcpuEnv) -> Result<Box<dyn VcpuSeed>, Error> {
        let lines = self.lines.get(index as usize).ok_or(Error::NoSuchVcpu(index))?.clone();
        let cpu = Cpu { index, boot: None, memory: self.memory.clone(), env, lines };
        Ok(Box::new(Seed(cpu, self.program.clone())))
    }

    fn inputs(&self, index: u32) -> Option<Arc<dyn CpuInputs>> {
        Some(self.lines[index as usize].clone())
    }

    fn skip(&self, time: Duration) {
        self.skipped.lock().unwrap().push(time);
    }
}

impl VcpuSeed for Seed {
    fn kicker(&self) -> Arc<dyn Kick> {
        self.0.lines.clone()
    }

    fn bind(self: Box<Self>) -> Result<Box<dyn Vcpu>, Error> {
        Ok(self)
    }
}

impl Vcpu for Seed {
    fn set_boot_state(&mut self, state: BootState) -> Result<(), Error> {
        self.0.boot = Some(state);
        Ok(())
    }

    fn run(&mut self) -> Exit {
        (self.1)(&self.0)
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![("index", self.0.index.into())]
    }
}

/// A kernel of 4 KiB that ends in its name.
pub(crate) fn kernel() -> File {
    let mut image = vec![0; 4096];
    image[16..24].copy_from_slice(&0x1_0000u64.to_le_bytes());
    image[56..60].copy_from_slice(b"ARM\x64");
    image[4090..].copy_from_slice(b"kernel");
    file(&image)
}

pub(crate) fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

pub(crate) fn linux(initrd: Option<File>, command_line: &str) -> Boot {
    Boot::Linux(LinuxBoot { kernel: kernel(), initrd, command_line: command_line.into() })
}

pub(crate) fn parts(cpus: u32) -> Parts {
    let boot = linux(None, "console=ttyAMA0");
    Parts { cpus, memory: 64 << 20, boot, pci: Vec::new(), slots: 0, serial: None, reclaim: None }
}

/// Lines of all CPUs that were ever made, to see that they go away.
pub(crate) type Made = Arc<Mutex<Vec<Weak<Lines>>>>;

pub(crate) fn machine(parts: Parts, program: impl Fn(&Cpu) -> Exit + Send + Sync + 'static) -> (Machine, Made) {
    machine_with_time(parts, Skipped::default(), program)
}

/// As [`machine`], with the times that its guests do not see in `skipped`.
pub(crate) fn machine_with_time(
    parts: Parts,
    skipped: Skipped,
    program: impl Fn(&Cpu) -> Exit + Send + Sync + 'static,
) -> (Machine, Made) {
    let made = Made::default();
    let (all, program): (Made, Program) = (made.clone(), Arc::new(program));
    let make_vm = move |memory: GuestMemory, cpus: u32| {
        let lines: Vec<_> = (0..cpus).map(|_| Arc::new(Lines::default())).collect();
        all.lock().unwrap().extend(lines.iter().map(Arc::downgrade));
        Ok(Box::new(FakeVm { memory, program: program.clone(), skipped: skipped.clone(), lines }) as Box<dyn Vm>)
    };
    (Machine::new(parts, Box::new(make_vm)), made)
}

/// Properties by `/path/of/node:name`.
pub(crate) type Tree = BTreeMap<String, Vec<u8>>;

fn parse(blob: &[u8]) -> Tree {
    let word = |at: usize| u32::from_be_bytes(blob[at..at + 4].try_into().unwrap()) as usize;
    let text = |at: usize| {
        let end = blob[at..].iter().position(|b| *b == 0).unwrap();
        std::str::from_utf8(&blob[at..at + end]).unwrap()
    };
    assert_eq!(word(0), 0xd00d_feed);
    let (mut at, strings) = (word(8), word(12));
    let (mut tree, mut path) = (Tree::new(), Vec::new());
    loop {
        let token = word(at);
        at += 4;
        match token {
            1 => {
                let name = text(at);
                path.push(name.to_owned());
                at += (name.len() + 1).next_multiple_of(4);
                tree.insert(format!("{}:", path.join("/")), Vec::new());
            }
            2 => drop(path.pop()),
            3 => {
                let (len, name) = (word(at), text(strings + word(at + 4)));
                tree.insert(format!("{}:{name}", path.join("/")), blob[at + 8..at + 8 + len].to_vec());
                at += 8 + len.next_multiple_of(4);
            }
            4 => {}
            _ => return tree,
        }
    }
}

//! Ours: a machine of one CPU and no devices, in which `supervisor.s` runs the cases.

use crate::assemble::assemble_flat;
use crate::record::{RECORD, decode, encode_batch};
use crate::{BATCH, CODE, Case, MEMORY, Outcome, Stop};
use anyhow::{Context, Result, bail, ensure};
use hv::{BootState, Exit, GuestMemory, Kick, Mmio, VcpuEnv, Vm as _};
use std::sync::{Arc, OnceLock};
use vm_memory::{Bytes, GuestAddress};

/// Where the supervisor is loaded and entered.
const SUPERVISOR: u64 = 0x4000_0000;
/// Its memory: code, tables, mailbox, records, results.
const SUPERVISOR_BYTES: usize = 6 << 20;
const TABLES: u64 = 0x4001_0000;
const MAILBOX: u64 = 0x4002_0000;
const REPEAT: u64 = MAILBOX + 24;
const RECORDS: u64 = 0x4010_0000;
const RESULTS: u64 = 0x4030_0000;
const PAGE: u64 = 4096;

/// Our CPU with the supervisor on it.
pub struct Ours {
    memory: GuestMemory,
    vcpu: Box<dyn hv::Vcpu>,
}

/// The only register outside RAM: a store to it stops the CPU.
struct Doorbell(OnceLock<Arc<dyn Kick>>);

impl Mmio for Doorbell {
    fn read(&self, _: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write(&self, _: u64, _: &[u8]) {
        if let Some(kick) = self.0.get() {
            kick.kick();
        }
    }
}

impl Ours {
    /// Builds the supervisor and runs it until it asks for cases, each of which it will run `repeat` times: what a JIT
    /// makes of an instruction is seen only when it is hot.
    ///
    /// # Errors
    /// If the compiler is missing, or the CPU does not do what the supervisor wants of it.
    pub fn start(repeat: u32, jit: soft::JitMode) -> Result<Self> {
        ensure!(repeat > 0, "a case has to run at least once");
        let folder = tempfile::tempdir().context("making a temporary folder")?;
        let program = assemble_flat(folder.path(), "supervisor", include_str!("supervisor.s"), SUPERVISOR)?;
        let memory = GuestMemory::from_ranges(&[
            (GuestAddress(CODE), BATCH * 64),
            (GuestAddress(MEMORY & !(PAGE - 1)), PAGE as usize),
            (GuestAddress(SUPERVISOR), SUPERVISOR_BYTES),
        ])
        .context("allocating guest memory")?;
        memory.write_slice(&program, GuestAddress(SUPERVISOR))?;
        memory.write_obj(u64::from(repeat), GuestAddress(REPEAT))?;
        write_tables(&memory)?;
        let vm = soft::Vm::new(memory.clone(), &soft::Options { cpus: 1, jit })?;
        let doorbell = Arc::new(Doorbell(OnceLock::new()));
        let seed = vm.vcpu(0, VcpuEnv { mmio: doorbell.clone(), gic: None })?;
        // It is empty before: this is the only place that sets it.
        let _ = doorbell.0.set(seed.kicker());
        let mut vcpu = seed.bind()?;
        vcpu.set_boot_state(BootState { pc: SUPERVISOR, x0: 0 })?;
        let mut ours = Self { memory, vcpu };
        ours.resume()?;
        Ok(ours)
    }

    /// Runs until the supervisor asks for cases.
    fn resume(&mut self) -> Result<()> {
        match self.vcpu.run() {
            Exit::Kicked => Ok(()),
            other => bail!("our CPU stopped: {other:?}"),
        }
    }

    /// Runs up to [`BATCH`] cases.
    ///
    /// # Errors
    /// If there are too many cases, or the machine stops.
    pub fn run(&mut self, cases: &[Case]) -> Result<Vec<Outcome>> {
        ensure!(cases.len() <= BATCH, "a batch has {BATCH} cases at most");
        let (code, mut records) = encode_batch(cases);
        self.memory.write_slice(&code, GuestAddress(CODE))?;
        self.memory.write_slice(&records, GuestAddress(RECORDS))?;
        self.memory.write_obj(cases.len() as u64, GuestAddress(MAILBOX))?;
        self.resume()?;
        self.memory.read_slice(&mut records, GuestAddress(RESULTS))?;
        Ok(records.chunks_exact(RECORD).map(|record| decode(record, stop)).collect())
    }
}

/// What a syndrome (ESR_EL1, DDI 0487 D17.2.37) means.
fn stop(esr: u64) -> Stop {
    match esr >> 26 {
        // Unknown, and system registers and instructions that are trapped.
        0x00 | 0x18 => Stop::Undefined,
        0x3c => Stop::Breakpoint,
        // Instruction and data aborts, misaligned program counters and stack pointers.
        0x20 | 0x22 | 0x24 | 0x26 => Stop::Fault,
        _ => Stop::Other(esr),
    }
}

/// Translation tables (DDI 0487 D8.3) which map everything where it is: the cases' code, which they may not change, and
/// memory for EL0, the doorbell and the supervisor for EL1.
fn write_tables(memory: &GuestMemory) -> Result<()> {
    const TABLE: u64 = 3;
    const BLOCK: u64 = 1;
    const L3_PAGE: u64 = 3;
    const DEVICE: u64 = 1 << 2;
    const EL0: u64 = 1 << 6;
    const READ_ONLY: u64 = 1 << 7;
    const INNER_SHAREABLE: u64 = 3 << 8;
    const ACCESSED: u64 = 1 << 10;
    const UXN: u64 = 1 << 54;
    let set = |table: u64, index: u64, entry: u64| {
        memory.write_obj(entry, GuestAddress(TABLES + table * PAGE + 8 * index)).context("writing translation tables")
    };
    let normal = INNER_SHAREABLE | ACCESSED;
    let (l1, l2, code, data) = (0, 1, 2, 3);
    let address = |table: u64| (TABLES + table * PAGE) | TABLE;
    set(l1, 0, address(l2))?;
    set(l1, SUPERVISOR >> 30, SUPERVISOR | normal | UXN | BLOCK)?;
    set(l2, CODE >> 21, address(code))?;
    set(l2, MEMORY >> 21, address(data))?;
    set(l2, 0x0900_0000 >> 21, 0x0800_0000 | 1 << 24 | DEVICE | ACCESSED | UXN | BLOCK)?;
    for page in 0..(BATCH * 64) as u64 / PAGE {
        set(code, page, (CODE + page * PAGE) | normal | EL0 | READ_ONLY | L3_PAGE)?;
    }
    set(data, MEMORY >> 12 & 511, MEMORY & !(PAGE - 1) | normal | EL0 | UXN | L3_PAGE)?;
    Ok(())
}

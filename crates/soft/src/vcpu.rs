//! The run loop of a CPU: interrupts, timers and requests between stretches of interpretation.

use std::sync::Arc;
use std::time::Duration;

use arm64::esr;
use arm64::exception::Kind;
use arm64::pstate;
use arm64::sysreg::mdscr;
use hv::debug::Stop as DebugStop;
use hv::{BootState, Exit, Kick, VcpuEnv};
use parking_lot::Mutex;

use crate::cpu::Cpu;
use crate::interp::{OpPtr, flags};
use crate::jit::{Jit, stall};
use crate::ram::Ram;
use crate::share::Share;
use crate::shared::{Power, Shared, signal};
use crate::trap::{Stop, Trap};

/// Most taken branches between two looks at interrupts and timers: some microseconds.
const BUDGET: u64 = 500;
/// How much less it may be. Were it the same each time, the pauses in a loop would all be at one of its branches, and what
/// the others lead to would never be found to be hot.
const BUDGET_SPREAD: u64 = 64;

/// The budget of stretch `number`: all that there are come in turn, neighbours far apart.
fn budget(number: u64) -> u64 {
    /// 2^64 divided by the golden ratio: its multiples are spread evenly.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    BUDGET - number.wrapping_mul(STEP) % (1 << 32) * BUDGET_SPREAD / (1 << 32)
}

/// A virtual machine on the software CPU.
pub struct Vm {
    ram: Ram,
    shared: Arc<Shared>,
    taken: Mutex<Vec<bool>>,
    jit: JitMode,
    share: Share,
}

/// What a [`Vm`] is made of besides memory.
#[derive(Debug, Clone)]
pub struct Options {
    /// Number of CPUs, 1 to 8.
    pub cpus: u32,
    /// What is done with hot code.
    pub jit: JitMode,
}

/// What is done with hot code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum JitMode {
    /// Everything is interpreted.
    Off,
    /// Hot code is translated, where the host has an emitter and lets a program have executable memory.
    #[default]
    On,
    /// For tests: code is translated before it runs for the first time, and left at nearly every branch backwards.
    Stress,
}

/// Most CPUs of a machine.
pub const MAX_CPUS: u32 = 8;

impl Vm {
    /// A machine over `memory`, whose regions are whole pages of 4 KiB.
    ///
    /// # Errors
    /// [`hv::Error::Unusable`] on a host without 16-byte compare-and-swap, [`hv::Error::NoSuchVcpu`] for a number of
    /// CPUs that is not 1 to [`MAX_CPUS`].
    pub fn new(memory: hv::GuestMemory, options: &Options) -> Result<Self, hv::Error> {
        #[cfg(target_arch = "x86_64")]
        if !std::is_x86_feature_detected!("cmpxchg16b") {
            let reason = "the CPU has no CMPXCHG16B instruction".to_owned();
            return Err(hv::Error::Unusable { engine: "soft", reason });
        }
        if !(1..=MAX_CPUS).contains(&options.cpus) {
            return Err(hv::Error::NoSuchVcpu(options.cpus));
        }
        Ok(Self {
            ram: Ram::new(memory),
            shared: Arc::new(Shared::new(options.cpus)),
            taken: Mutex::new(vec![false; options.cpus as usize]),
            jit: options.jit,
            share: Share::of(options.cpus),
        })
    }

    /// Limits the translated code of each CPU that is taken from now on to `bytes`, at least 16 KiB.
    pub fn limit_translated_code(&mut self, bytes: usize) {
        self.share.code = bytes.clamp(16 << 10, self.share.code);
    }
}

impl hv::Vm for Vm {
    fn vcpu(&self, index: u32, env: VcpuEnv) -> Result<Box<dyn hv::VcpuSeed>, hv::Error> {
        match self.taken.lock().get_mut(index as usize) {
            Some(taken) if !*taken => *taken = true,
            _ => return Err(hv::Error::NoSuchVcpu(index)),
        }
        let (ram, shared) = (self.ram.clone(), self.shared.clone());
        Ok(Box::new(Seed { index, env, ram, shared, jit: self.jit, share: self.share }))
    }

    fn inputs(&self, index: u32) -> Option<Arc<dyn hv::CpuInputs>> {
        Some(Arc::new(Handle { index, shared: self.shared.clone() }))
    }

    fn skip(&self, time: Duration) {
        self.shared.skip(time);
    }
}

struct Seed {
    index: u32,
    env: VcpuEnv,
    ram: Ram,
    shared: Arc<Shared>,
    jit: JitMode,
    share: Share,
}

impl hv::VcpuSeed for Seed {
    fn kicker(&self) -> Arc<dyn Kick> {
        Arc::new(Handle { index: self.index, shared: self.shared.clone() })
    }

    fn bind(self: Box<Self>) -> Result<Box<dyn hv::Vcpu>, hv::Error> {
        let jit = Jit::new(self.jit, &self.share)
            .inspect_err(|error| tracing::warn!(%error, "no executable memory: interpreting only"))
            .unwrap_or_default();
        Ok(Box::new(Vcpu { cpu: Cpu::new(self.index, self.ram, self.env, self.shared, jit, &self.share) }))
    }
}

/// A CPU as other threads reach it.
struct Handle {
    index: u32,
    shared: Arc<Shared>,
}

impl Handle {
    fn set(&self, bit: u32, level: bool) {
        let cpu = &self.shared.cpus[self.index as usize];
        if level {
            cpu.raise(bit);
        } else {
            cpu.take(bit);
        }
    }
}

impl hv::CpuInputs for Handle {
    fn set_irq(&self, level: bool) {
        self.set(signal::IRQ, level);
    }

    fn set_fiq(&self, level: bool) {
        self.set(signal::FIQ, level);
    }
}

impl Kick for Handle {
    fn kick(&self) {
        self.set(signal::KICK, true);
    }
}

/// A CPU bound to its thread.
struct Vcpu {
    cpu: Box<Cpu>,
}

impl hv::Vcpu for Vcpu {
    fn set_boot_state(&mut self, state: BootState) -> Result<(), hv::Error> {
        *self.cpu.power().lock() = Power::Starting(state.pc, state.x0);
        Ok(())
    }

    fn run(&mut self) -> Exit {
        let shared = self.cpu.shared.clone();
        let signals = &shared.cpus[self.cpu.index as usize];
        signals.unpark();
        let exit = loop {
            if let Some(exit) = self.cpu.turn() {
                break exit;
            }
        };
        signals.park();
        exit
    }

    fn debug(&mut self) -> Option<&mut dyn hv::debug::Debug> {
        Some(&mut *self.cpu)
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let c = &self.cpu;
        let jit = c.jit.as_ref();
        let counters = [
            ("interpreter entries", c.entries),
            ("words decoded", c.decoded),
            ("code pages", c.code.len() as u64),
            ("TLB misses", c.tlb_misses),
            ("device accesses", c.device_accesses),
            ("exceptions", c.exceptions),
            ("interrupts", c.interrupts),
            ("waits for interrupts", c.waits),
            ("waits for events", c.event_waits),
            ("firmware calls", c.firmware_calls),
            ("regions translated", jit.map_or(0, |jit| jit.translated)),
            ("instructions of the longest region", jit.map_or(0, |jit| jit.most as u64)),
            ("translated bytes", jit.map_or(0, |jit| jit.used() as u64)),
            ("translation flushes", jit.map_or(0, |jit| jit.flushes)),
            ("bytes of code pages and translations", (c.code.bytes() + jit.map_or(0, Jit::most_bytes)) as u64),
        ];
        counters.into_iter().chain(c.stalls.counters()).collect()
    }
}

impl Cpu {
    fn power(&self) -> &Mutex<Power> {
        &self.shared.cpus[self.index as usize].power
    }

    /// One turn of the run loop: what waits between instructions, then a stretch of instructions.
    fn turn(&mut self) -> Option<Exit> {
        let shared = self.shared.clone();
        let signals = &shared.cpus[self.index as usize];
        self.maintain_own();
        if signals.take(signal::KICK) != 0 {
            return Some(Exit::Kicked);
        }
        let stepped = self.is_stepped();
        if !self.powered_on() {
            if stepped {
                return Some(Exit::Debug(DebugStop::Step));
            }
            signals.park();
            signals.sleep(signal::POWER | signal::KICK, None);
            signals.unpark();
            return None;
        }
        if stepped {
            return Some(self.step());
        }
        if self.timer_armed() {
            self.update_timers();
        }
        let pending = signals.pending();
        if pending & signal::FIQ != 0 && self.pstate & pstate::F == 0 {
            self.take_interrupt(Kind::Fiq);
        } else if pending & signal::IRQ != 0 && self.pstate & pstate::I == 0 {
            self.take_interrupt(Kind::Irq);
        }
        self.interpret();
        let left = self.left.take().unwrap_or(Trap::Resume);
        self.settle(left)
    }

    /// Carries out one instruction for a debugger.
    fn step(&mut self) -> Exit {
        self.interpret();
        let left = match self.left.take().unwrap_or(Trap::Resume) {
            Trap::WaitForInterrupt | Trap::WaitForEvent => Trap::Resume,
            left => left,
        };
        self.settle(left).unwrap_or(Exit::Debug(DebugStop::Step))
    }

    /// Whether the CPU is on; starts it when another CPU or the boot protocol asked for that.
    pub(crate) fn powered_on(&mut self) -> bool {
        let power = *self.power().lock();
        match power {
            Power::On => true,
            Power::Off => {
                self.shared.cpus[self.index as usize].take(signal::POWER);
                matches!(*self.power().lock(), Power::Starting(..))
            }
            Power::Starting(entry, context) => {
                self.reset(entry, context);
                *self.power().lock() = Power::On;
                true
            }
        }
    }

    /// Runs from the program counter until something leaves the interpreter.
    fn interpret(&mut self) {
        self.entries += 1;
        let stepping = self.stepping();
        let one = stepping || self.is_stepped();
        let fetched = if let Some(stop) = self.breakpoint_here() {
            Err(stop)
        } else if self.pstate & pstate::IL != 0 {
            Err(Trap::Exception { esr: esr::illegal_state(), far: None })
        } else if stepping && self.pstate & pstate::SS == 0 {
            Err(Trap::Exception { esr: esr::software_step(self.el0(), true, false), far: None })
        } else if one {
            self.fetch_step()
        } else {
            self.fetch()
        };
        match fetched {
            Ok(op) => {
                let (fa, fb, fk) = flags::explicit(self.nzcv);
                let pc = self.pc;
                let budget = if one {
                    // A branch to another page ends the step, too.
                    0
                } else {
                    self.sample(op);
                    self.jit.as_mut().and_then(Jit::stress_budget).unwrap_or_else(|| budget(self.entries))
                };
                crate::jit::enter(self, op, budget, (fa, fb, fk));
                // The step is done unless the instruction will be repeated after its exception.
                if stepping && (self.pc != pc || self.left == Some(Trap::Resume)) {
                    self.pstate &= !pstate::SS;
                }
            }
            Err(trap) => self.left = Some(trap),
        }
    }

    /// Lets the translator know where the interpreter is entered.
    fn sample(&mut self, op: OpPtr) {
        if self.debug.is_some() && !self.breakpoints_in_page(self.pc).is_empty() {
            return;
        }
        let (page, index) = (self.code_page, self.code_page.index(op));
        if let Some(jit) = &mut self.jit
            && !jit.is_settled(page, index)
            && let Some(index) = jit.note(page, index)
        {
            let start = stall::now();
            let fits = jit.translate(page, index);
            let translated = stall::now();
            if !fits {
                self.code.drop_regions();
                jit.clear();
                self.stalls.add_flush(stall::now() - translated);
            }
            self.stalls.add(stall::now() - start);
        }
    }

    /// Whether software step is active (DDI 0487, D2.11): enabled, and debug exceptions come from this level.
    fn stepping(&self) -> bool {
        let s = &self.sys;
        s.mdscr & mdscr::SS != 0
            && !s.os_lock
            && (self.el0() || (s.mdscr & mdscr::KDE != 0 && self.pstate & pstate::D == 0))
    }

    /// Does what the interpreter was left for.
    fn settle(&mut self, left: Trap) -> Option<Exit> {
        match left {
            Trap::Resume => {}
            Trap::Undefined => self.take_exception(esr::undefined(), None),
            Trap::Exception { esr, far } => self.take_exception(esr, far),
            Trap::WaitForInterrupt => self.wait_for_interrupt(),
            Trap::WaitForEvent => self.wait_for_event(),
            Trap::Debug(stop) => return Some(Exit::Debug(stop)),
            Trap::Stop(Stop::CpuOff) => *self.power().lock() = Power::Off,
            Trap::Stop(Stop::SystemOff) => return Some(Exit::PoweredOff),
            Trap::Stop(Stop::SystemReset) => return Some(Exit::Reset),
        }
        None
    }

    fn wait_for_interrupt(&mut self) {
        self.waits += 1;
        let shared = self.shared.clone();
        let signals = &shared.cpus[self.index as usize];
        self.update_timers();
        signals.park();
        signals.sleep(signal::IRQ | signal::FIQ | signal::KICK, self.next_timer());
        signals.unpark();
    }

    /// The state after reset, at `entry` with `context` in X0.
    fn reset(&mut self, entry: u64, context: u64) {
        self.x = [0; 256];
        self.v = [0; 32];
        self.sp = [0; 2];
        (self.fpcr, self.fpsr) = (0, 0);
        // The interrupt controller has to hear that the timers are off before their levels are forgotten.
        self.sys.timers.iter_mut().for_each(|timer| timer.control = 0);
        self.update_timers();
        *self.sys = crate::sys::SysRegs::reset(entry);
        self.exclusive = None;
        (self.event, self.waiting) = (false, None);
        self.flush_tlb();
        self.set_pstate(pstate::EL1H | pstate::DAIF);
        self.pc = entry;
        self.x[0] = context;
    }
}

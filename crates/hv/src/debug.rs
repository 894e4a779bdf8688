//! What an engine offers to a debugger: registers, memory through the MMU, breakpoints, watchpoints, single steps.

/// A vCPU in the hands of a debugger. Called on the thread of the vCPU, between two calls of [`crate::Vcpu::run`].
pub trait Debug {
    /// Whether the CPU is on (PSCI); one that is off has no registers worth looking at.
    fn is_on(&mut self) -> bool;

    /// The general, FP and AdvSIMD registers.
    fn registers(&mut self) -> Registers;

    /// Sets them. What the CPU cannot be in stays as it is: the bits of `cpsr` that no exception return could set.
    fn set_registers(&mut self, registers: &Registers);

    /// System registers by their names in the Arm manual, for people to read.
    fn system_registers(&mut self) -> Vec<(&'static str, u64)>;

    /// The physical address of virtual address `va` as the CPU would read it at EL1 now, without effects; `None` when
    /// that faults.
    fn translate(&mut self, va: u64) -> Option<u64>;

    /// Reads RAM at `address` without effects, and gives how many bytes there are before the first that is none.
    fn read_memory(&mut self, address: Address, data: &mut [u8]) -> usize;

    /// Writes RAM at `address`, also where the guest may not, and gives how many bytes there was room for. All CPUs see
    /// code that was changed.
    fn write_memory(&mut self, address: Address, data: &[u8]) -> usize;

    /// Replaces all breakpoints and watchpoints of this CPU. The guest cannot see them. A CPU that is run with a
    /// breakpoint at its program counter stops there at once: to get over it, step.
    fn set_points(&mut self, points: &Points);

    /// Whether [`crate::Vcpu::run`] carries out one instruction, whatever breakpoint is on it, and returns
    /// [`Stop::Step`]. Interrupts are not taken meanwhile, an instruction that waits does not wait, and a CPU that is
    /// off does nothing.
    fn set_step(&mut self, step: bool);
}

/// Where a debugger looks at memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// Through the MMU of the CPU, with its translation tables of now.
    Virtual(u64),
    /// Guest-physical.
    Physical(u64),
}

impl Address {
    /// The address `by` bytes further on.
    #[must_use]
    pub fn offset(self, by: u64) -> Self {
        match self {
            Self::Virtual(va) => Self::Virtual(va.wrapping_add(by)),
            Self::Physical(pa) => Self::Physical(pa.wrapping_add(by)),
        }
    }
}

/// The registers of an arm64 CPU that a program uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registers {
    /// X0 to X30.
    pub x: [u64; 31],
    /// The stack pointer in use.
    pub sp: u64,
    /// Program counter.
    pub pc: u64,
    /// PSTATE in the format of SPSR_EL1 (DDI 0487, C5.2.18).
    pub cpsr: u32,
    /// V0 to V31.
    pub v: [u128; 32],
    /// Floating-point status.
    pub fpsr: u32,
    /// Floating-point control.
    pub fpcr: u32,
}

/// Breakpoints and watchpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Points {
    /// Virtual addresses of instructions before which a CPU stops.
    pub breakpoints: Vec<u64>,
    /// Data that a CPU stops before it touches.
    pub watchpoints: Vec<Watchpoint>,
}

/// Data that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watchpoint {
    /// Virtual address of the first byte.
    pub address: u64,
    /// Number of bytes.
    pub length: u64,
    /// Which accesses count.
    pub kind: WatchKind,
}

/// Accesses that a watchpoint is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchKind {
    /// Loads.
    Read,
    /// Stores.
    Write,
    /// Both.
    Access,
}

/// Why a CPU stopped for its debugger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// There is a breakpoint on the next instruction.
    Breakpoint,
    /// The next instruction touches this byte of a watchpoint of this kind.
    Watchpoint {
        /// Virtual address of the first byte that is watched and touched.
        address: u64,
        /// The watchpoint's kind.
        kind: WatchKind,
    },
    /// A step is done.
    Step,
}

//! The software AArch64 CPU behind the engine seam: decode, interpreter, translator, MMU and TLB, system
//! registers.
//!
//! | module | what it is |
//! |---|---|
//! | [`isa`] | the one table of instructions, its decoder |
//! | `interp` | predecoded operations and their handlers |
//! | `simd`, `fp` | FP, AdvSIMD and crypto instructions, soft float |
//! | `jit` | hot regions translated to the host's instructions |
//! | `code` | pages of operations, the instruction TLB |
//! | `mmu`, `ram` | the data TLB, accesses to virtual memory, guest RAM |
//! | `debug` | breakpoints, watchpoints, steps, registers and memory for a debugger |
//! | `sys` | system registers, exceptions, timers, maintenance, PSCI |
//! | `share` | how much memory a CPU may take for code |
//! | `shared` | what CPUs share: signals, broadcast maintenance, power, clock |
//! | `vcpu` | the run loop behind [`hv::Vcpu`] |

#![cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "no emitter on this host uses what is for them"))]

pub mod cpu;
pub mod isa;
pub mod trap;

mod code;
mod debug;
mod fp;
mod interp;
mod jit;
mod mmu;
mod ram;
mod share;
mod shared;
mod simd;
mod sys;
mod vcpu;
mod words;

pub use vcpu::{JitMode, MAX_CPUS, Options, Vm};

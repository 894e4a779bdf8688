//! What the CPU does for a debugger ([`hv::debug`]).
//!
//! Nothing of this costs a CPU without one anything. Pages with breakpoints are kept out of the instruction TLB and
//! have operations of their own, in which an operation that stops stands for each breakpoint, and which are never
//! translated. Watched pages are kept out of the data TLB, so that each access to one is slow, and looked at.

mod memory;
mod points;
mod registers;

use hv::debug::{Address, Debug, Points, Registers, Stop};

use crate::cpu::Cpu;
use crate::interp::{OpPtr, leave};
use crate::trap::Trap;

pub(crate) use points::Debugging;

/// The operation of an instruction with a breakpoint: leaves before it.
pub(crate) extern "C" fn breakpoint(cpu: &mut Cpu, op: OpPtr, _: u64, fa: u64, fb: u64, fk: u64) {
    leave(cpu, op, Trap::Debug(Stop::Breakpoint), fa, fb, fk)
}

impl Debug for Cpu {
    fn is_on(&mut self) -> bool {
        self.powered_on()
    }

    fn registers(&mut self) -> Registers {
        // A CPU that is about to start has its first program counter only then.
        self.powered_on();
        self.read_registers()
    }

    fn set_registers(&mut self, registers: &Registers) {
        if self.powered_on() {
            self.write_registers(registers);
        }
    }

    fn system_registers(&mut self) -> Vec<(&'static str, u64)> {
        self.powered_on();
        self.named_system_registers()
    }

    fn translate(&mut self, va: u64) -> Option<u64> {
        self.physical(Address::Virtual(va))
    }

    fn read_memory(&mut self, address: Address, data: &mut [u8]) -> usize {
        self.peek(address, data)
    }

    fn write_memory(&mut self, address: Address, data: &[u8]) -> usize {
        self.poke(address, data)
    }

    fn set_points(&mut self, points: &Points) {
        let step = self.is_stepped();
        self.set_debugging(points.clone(), step);
        // What is in the TLBs and was made for the points of before is looked up anew.
        self.flush_tlb();
        self.code.drop_breakpoint_pages();
    }

    fn set_step(&mut self, step: bool) {
        let points = self.debug.take().map(|debug| debug.into_points()).unwrap_or_default();
        self.set_debugging(points, step);
    }
}

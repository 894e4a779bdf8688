//! A machine as GDB's protocol sees it: a process whose threads are the CPUs, numbered from 1.

use gdbstub::common::{Signal, Tid};
use gdbstub::target::ext::base::BaseOps;
use gdbstub::target::ext::base::multithread::{
    MultiThreadBase, MultiThreadResume, MultiThreadResumeOps, MultiThreadSchedulerLocking,
    MultiThreadSchedulerLockingOps, MultiThreadSingleStep, MultiThreadSingleStepOps,
};
use gdbstub::target::ext::breakpoints as gdb;
use gdbstub::target::ext::monitor_cmd::{ConsoleOutput, MonitorCmd, MonitorCmdOps};
use gdbstub::target::ext::thread_extra_info::{ThreadExtraInfo, ThreadExtraInfoOps};
use gdbstub::target::{Target, TargetError, TargetResult};
use hv::debug::{Address, Points, WatchKind, Watchpoint};
use machine::{DebugError, Debugger, Order};

use super::arch::{AArch64, AArch64Registers};
use super::monitor;

/// The machine of a session.
pub(super) struct Cpus {
    pub(super) debugger: Debugger,
    points: Points,
    /// What each CPU does when they are let go; those without an order run.
    orders: Vec<Option<Order>>,
    /// CPUs without an order stand still instead.
    locked: bool,
    /// The CPU that was looked at last, which `monitor` commands are about.
    current: u32,
}

impl Cpus {
    pub(super) fn new(debugger: Debugger) -> Self {
        let orders = vec![None; debugger.cpus() as usize];
        Self { debugger, points: Points::default(), orders, locked: false, current: 0 }
    }

    /// The thread of CPU `index`.
    pub(super) fn thread(index: u32) -> Tid {
        Tid::MIN.saturating_add(index as usize)
    }

    /// The CPU of a thread.
    fn cpu(thread: Tid) -> u32 {
        u32::try_from(thread.get() - 1).unwrap_or(u32::MAX)
    }

    fn order(&mut self, thread: Tid, order: Order) {
        if let Some(slot) = self.orders.get_mut(Self::cpu(thread) as usize) {
            *slot = Some(order);
        }
    }

    fn change_points(&mut self, change: impl FnOnce(&mut Points)) -> bool {
        change(&mut self.points);
        self.debugger.set_points(self.points.clone());
        true
    }

    fn add_breakpoint(&mut self, address: u64) -> bool {
        address.is_multiple_of(4) && self.change_points(|points| points.breakpoints.push(address))
    }

    fn remove_breakpoint(&mut self, address: u64) -> bool {
        let Some(at) = self.points.breakpoints.iter().position(|va| *va == address) else { return false };
        self.change_points(|points| _ = points.breakpoints.swap_remove(at))
    }
}

impl Target for Cpus {
    type Arch = AArch64;
    type Error = DebugError;

    fn base_ops(&mut self) -> BaseOps<'_, AArch64, DebugError> {
        BaseOps::MultiThread(self)
    }

    fn support_breakpoints(&mut self) -> Option<gdb::BreakpointsOps<'_, Self>> {
        Some(self)
    }

    fn support_monitor_cmd(&mut self) -> Option<MonitorCmdOps<'_, Self>> {
        Some(self)
    }

    // The breakpoints are the CPUs' own: nothing is written into the guest's memory.
    fn guard_rail_implicit_sw_breakpoints(&self) -> bool {
        true
    }
}

impl MultiThreadBase for Cpus {
    fn read_registers(&mut self, registers: &mut AArch64Registers, thread: Tid) -> TargetResult<(), Self> {
        self.current = Self::cpu(thread);
        registers.0 = self.debugger.ask(self.current, |cpu| cpu.registers()).map_err(TargetError::Fatal)?;
        Ok(())
    }

    fn write_registers(&mut self, registers: &AArch64Registers, thread: Tid) -> TargetResult<(), Self> {
        let registers = registers.0.clone();
        let written = self.debugger.ask(Self::cpu(thread), move |cpu| cpu.set_registers(&registers));
        written.map_err(TargetError::Fatal)
    }

    fn read_addrs(&mut self, start: u64, data: &mut [u8], thread: Tid) -> TargetResult<usize, Self> {
        self.current = Self::cpu(thread);
        let bytes = read(&self.debugger, self.current, Address::Virtual(start), data.len());
        let bytes = bytes.map_err(TargetError::Fatal)?;
        if bytes.is_empty() && !data.is_empty() {
            return Err(TargetError::NonFatal);
        }
        data[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn write_addrs(&mut self, start: u64, data: &[u8], thread: Tid) -> TargetResult<(), Self> {
        let bytes = data.to_vec();
        let write = move |cpu: &mut dyn hv::debug::Debug| cpu.write_memory(Address::Virtual(start), &bytes);
        let written = self.debugger.ask(Self::cpu(thread), write).map_err(TargetError::Fatal)?;
        if written < data.len() { Err(TargetError::NonFatal) } else { Ok(()) }
    }

    fn list_active_threads(&mut self, register: &mut dyn FnMut(Tid)) -> Result<(), DebugError> {
        (0..self.debugger.cpus()).for_each(|cpu| register(Self::thread(cpu)));
        Ok(())
    }

    fn support_resume(&mut self) -> Option<MultiThreadResumeOps<'_, Self>> {
        Some(self)
    }

    fn support_thread_extra_info(&mut self) -> Option<ThreadExtraInfoOps<'_, Self>> {
        Some(self)
    }
}

/// Up to `len` bytes of memory as CPU `cpu` sees it.
pub(super) fn read(debugger: &Debugger, cpu: u32, address: Address, len: usize) -> Result<Vec<u8>, DebugError> {
    debugger.ask(cpu, move |cpu| {
        let mut bytes = vec![0; len];
        let done = cpu.read_memory(address, &mut bytes);
        bytes.truncate(done);
        bytes
    })
}

impl MultiThreadResume for Cpus {
    fn resume(&mut self) -> Result<(), DebugError> {
        let default = if self.locked { Order::Stand } else { Order::Run };
        self.debugger.resume(|index| self.orders[index].unwrap_or(default));
        Ok(())
    }

    fn clear_resume_actions(&mut self) -> Result<(), DebugError> {
        self.orders.fill(None);
        self.locked = false;
        Ok(())
    }

    fn set_resume_action_continue(&mut self, thread: Tid, _: Option<Signal>) -> Result<(), DebugError> {
        self.order(thread, Order::Run);
        Ok(())
    }

    fn support_single_step(&mut self) -> Option<MultiThreadSingleStepOps<'_, Self>> {
        Some(self)
    }

    fn support_scheduler_locking(&mut self) -> Option<MultiThreadSchedulerLockingOps<'_, Self>> {
        Some(self)
    }
}

impl MultiThreadSingleStep for Cpus {
    fn set_resume_action_step(&mut self, thread: Tid, _: Option<Signal>) -> Result<(), DebugError> {
        self.order(thread, Order::Step);
        Ok(())
    }
}

impl MultiThreadSchedulerLocking for Cpus {
    fn set_resume_action_scheduler_lock(&mut self) -> Result<(), DebugError> {
        self.locked = true;
        Ok(())
    }
}

impl ThreadExtraInfo for Cpus {
    fn thread_extra_info(&self, thread: Tid, buffer: &mut [u8]) -> Result<usize, DebugError> {
        let cpu = Self::cpu(thread);
        let on = self.debugger.ask(cpu, |cpu| cpu.is_on())?;
        let text = format!("CPU {cpu}, {}", if on { "on" } else { "off" });
        let len = text.len().min(buffer.len());
        buffer[..len].copy_from_slice(&text.as_bytes()[..len]);
        Ok(len)
    }
}

impl gdb::Breakpoints for Cpus {
    fn support_sw_breakpoint(&mut self) -> Option<gdb::SwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_breakpoint(&mut self) -> Option<gdb::HwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_watchpoint(&mut self) -> Option<gdb::HwWatchpointOps<'_, Self>> {
        Some(self)
    }
}

impl gdb::SwBreakpoint for Cpus {
    fn add_sw_breakpoint(&mut self, address: u64, _: usize) -> TargetResult<bool, Self> {
        Ok(self.add_breakpoint(address))
    }

    fn remove_sw_breakpoint(&mut self, address: u64, _: usize) -> TargetResult<bool, Self> {
        Ok(self.remove_breakpoint(address))
    }
}

impl gdb::HwBreakpoint for Cpus {
    fn add_hw_breakpoint(&mut self, address: u64, _: usize) -> TargetResult<bool, Self> {
        Ok(self.add_breakpoint(address))
    }

    fn remove_hw_breakpoint(&mut self, address: u64, _: usize) -> TargetResult<bool, Self> {
        Ok(self.remove_breakpoint(address))
    }
}

impl gdb::HwWatchpoint for Cpus {
    fn add_hw_watchpoint(&mut self, address: u64, length: u64, kind: gdb::WatchKind) -> TargetResult<bool, Self> {
        let point = Watchpoint { address, length, kind: kind_of(kind) };
        Ok(length > 0 && self.change_points(|points| points.watchpoints.push(point)))
    }

    fn remove_hw_watchpoint(&mut self, address: u64, length: u64, kind: gdb::WatchKind) -> TargetResult<bool, Self> {
        let point = Watchpoint { address, length, kind: kind_of(kind) };
        let Some(at) = self.points.watchpoints.iter().position(|other| *other == point) else { return Ok(false) };
        Ok(self.change_points(|points| _ = points.watchpoints.swap_remove(at)))
    }
}

fn kind_of(kind: gdb::WatchKind) -> WatchKind {
    match kind {
        gdb::WatchKind::Read => WatchKind::Read,
        gdb::WatchKind::Write => WatchKind::Write,
        gdb::WatchKind::ReadWrite => WatchKind::Access,
    }
}

impl MonitorCmd for Cpus {
    fn handle_monitor_cmd(&mut self, command: &[u8], mut out: ConsoleOutput<'_>) -> Result<(), DebugError> {
        let answer = monitor::answer(&self.debugger, self.current, &String::from_utf8_lossy(command))?;
        out.write_raw(answer.as_bytes());
        Ok(())
    }
}

//! PSCI 1.1 (DEN 0022) and the SMC calling convention (DEN 0028) by HVC.

use arm64::id::cpu_of_affinity;
use arm64::smccc::{self, arch, psci};

use crate::cpu::Cpu;
use crate::shared::{Power, signal};
use crate::trap::{Stop, Trap};

impl Cpu {
    /// Carries out the call in X0 with arguments in X1 to X3. The program counter is past the HVC already.
    pub(crate) fn call_firmware(&mut self) -> Result<(), Trap> {
        self.firmware_calls += 1;
        let function = self.x[0] as u32;
        // 32-bit calls pass 32 bits of each argument.
        let mask = if function & 1 << 30 != 0 { u64::MAX } else { 0xffff_ffff };
        let args = [1, 2, 3].map(|n| self.x[n] & mask);
        let result = match function {
            arch::VERSION => arch::VERSION_1_2,
            arch::FEATURES => match args[0] as u32 {
                arch::VERSION | arch::FEATURES => smccc::SUCCESS,
                // Nothing is speculated here that a workaround would have to stop.
                arch::WORKAROUND_1 | arch::WORKAROUND_3 => arch::WORKAROUND_UNAFFECTED,
                arch::WORKAROUND_2 => arch::NOT_REQUIRED,
                _ => smccc::NOT_SUPPORTED,
            },
            psci::VERSION => psci::VERSION_1_1,
            psci::FEATURES => features(args[0] as u32),
            psci::CPU_ON32 | psci::CPU_ON64 => self.cpu_on(args),
            psci::CPU_OFF => return Err(Trap::Stop(Stop::CpuOff)),
            psci::CPU_SUSPEND32 | psci::CPU_SUSPEND64 => {
                if args[0] as u32 & !psci::POWER_STATE_OF_CPU != 0 {
                    psci::INVALID_PARAMETERS
                } else {
                    // Every state is the shallowest: the context is kept and any interrupt ends it.
                    self.x[0] = smccc::SUCCESS as u64;
                    return Err(Trap::WaitForInterrupt);
                }
            }
            psci::AFFINITY_INFO32 | psci::AFFINITY_INFO64 => self.affinity_info(args[0], args[1]),
            psci::MIGRATE_INFO_TYPE => psci::MIGRATION_NOT_REQUIRED,
            psci::SYSTEM_OFF => return Err(Trap::Stop(Stop::SystemOff)),
            psci::SYSTEM_RESET => return Err(Trap::Stop(Stop::SystemReset)),
            psci::SYSTEM_RESET2_32 | psci::SYSTEM_RESET2_64 => match args[0] as u32 {
                psci::SYSTEM_WARM_RESET => return Err(Trap::Stop(Stop::SystemReset)),
                _ => psci::INVALID_PARAMETERS,
            },
            _ => smccc::NOT_SUPPORTED,
        };
        self.x[0] = result as u64;
        Ok(())
    }

    fn cpu_on(&mut self, [target, entry, context]: [u64; 3]) -> i64 {
        let Some(cpu) = cpu_of_affinity(target).and_then(|n| self.shared.cpus.get(n as usize)) else {
            return psci::INVALID_PARAMETERS;
        };
        if entry & 3 != 0 || self.ram.page(entry).is_none() {
            return psci::INVALID_ADDRESS;
        }
        let mut power = cpu.power.lock();
        match *power {
            Power::On => psci::ALREADY_ON,
            Power::Starting(..) => psci::ON_PENDING,
            Power::Off => {
                *power = Power::Starting(entry, context);
                drop(power);
                cpu.raise(signal::POWER);
                smccc::SUCCESS
            }
        }
    }

    fn affinity_info(&self, target: u64, lowest_level: u64) -> i64 {
        let Some(cpu) = cpu_of_affinity(target).and_then(|n| self.shared.cpus.get(n as usize)) else {
            return psci::INVALID_PARAMETERS;
        };
        if lowest_level != 0 {
            return psci::INVALID_PARAMETERS;
        }
        match *cpu.power.lock() {
            Power::On => psci::AFFINITY_ON,
            Power::Off => psci::AFFINITY_OFF,
            Power::Starting(..) => psci::AFFINITY_ON_PENDING,
        }
    }
}

/// PSCI_FEATURES.
fn features(function: u32) -> i64 {
    match function {
        psci::VERSION
        | psci::FEATURES
        | psci::CPU_ON32
        | psci::CPU_ON64
        | psci::CPU_OFF
        | psci::CPU_SUSPEND32
        | psci::CPU_SUSPEND64
        | psci::AFFINITY_INFO32
        | psci::AFFINITY_INFO64
        | psci::MIGRATE_INFO_TYPE
        | psci::SYSTEM_OFF
        | psci::SYSTEM_RESET
        | psci::SYSTEM_RESET2_32
        | psci::SYSTEM_RESET2_64
        | arch::VERSION => smccc::SUCCESS,
        _ => smccc::NOT_SUPPORTED,
    }
}

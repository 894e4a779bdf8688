//! What the firmware answers: calls of PSCI and of the SMC calling convention by HVC.

use arm64::smccc::{NOT_SUPPORTED, SUCCESS, arch, psci};
use soft::JitMode;

use crate::machine::{DATA, Program, RAM, run};

/// Calls of a machine with two CPUs, the second off: function, arguments, answer (DEN 0022, section 5).
const CALLS: &[(u32, [u64; 3], i64)] = &[
    (psci::VERSION, [0; 3], psci::VERSION_1_1),
    (psci::MIGRATE_INFO_TYPE, [0; 3], psci::MIGRATION_NOT_REQUIRED),
    // MIGRATE, and PSCI_STAT_RESIDENCY, which are optional.
    (0xc400_0005, [0; 3], NOT_SUPPORTED),
    (0xc400_0010, [0; 3], NOT_SUPPORTED),
    // Only functions with 64-bit arguments have a 64-bit number.
    (0xc400_0000, [0; 3], NOT_SUPPORTED),
    (psci::AFFINITY_INFO64, [0; 3], psci::AFFINITY_ON),
    (psci::AFFINITY_INFO64, [1, 0, 0], psci::AFFINITY_OFF),
    (psci::AFFINITY_INFO32, [0xf_0000_0001, 0, 0], psci::AFFINITY_OFF),
    (psci::AFFINITY_INFO64, [2, 0, 0], psci::INVALID_PARAMETERS),
    (psci::AFFINITY_INFO64, [0x100, 0, 0], psci::INVALID_PARAMETERS),
    (psci::AFFINITY_INFO64, [1, 1, 0], psci::INVALID_PARAMETERS),
    // Bits beside the affinity fields: those that MPIDR_EL1 has, too.
    (psci::AFFINITY_INFO64, [0x8000_0001, 0, 0], psci::INVALID_PARAMETERS),
    (psci::CPU_ON64, [0, RAM, 0], psci::ALREADY_ON),
    (psci::CPU_ON64, [2, RAM, 0], psci::INVALID_PARAMETERS),
    (psci::CPU_ON64, [0x1_0000_0001, RAM, 0], psci::INVALID_PARAMETERS),
    (psci::CPU_ON64, [1, 0x1000, 0], psci::INVALID_ADDRESS),
    (psci::CPU_ON64, [1, RAM + 2, 0], psci::INVALID_ADDRESS),
    // A power level above that of a CPU, and reserved bits.
    (psci::CPU_SUSPEND64, [0x0100_0000, 0, 0], psci::INVALID_PARAMETERS),
    (psci::CPU_SUSPEND32, [0x8000_0000, 0, 0], psci::INVALID_PARAMETERS),
    (psci::CPU_SUSPEND64, [0x0002_0000, 0, 0], psci::INVALID_PARAMETERS),
    // A reserved type of reset, and one of a vendor.
    (psci::SYSTEM_RESET2_32, [1, 0, 0], psci::INVALID_PARAMETERS),
    (psci::SYSTEM_RESET2_64, [0x8000_0000, 0, 0], psci::INVALID_PARAMETERS),
    (arch::VERSION, [0; 3], arch::VERSION_1_2),
    (arch::FEATURES, [arch::SOC_ID as u64, 0, 0], NOT_SUPPORTED),
    (0x8000_1234, [0; 3], NOT_SUPPORTED),
];

/// The functions that PSCI_FEATURES has to know: those that PSCI 1.1 asks for, and others that are there.
const FEATURES: &[u32] = &[
    psci::VERSION,
    psci::CPU_SUSPEND32,
    psci::CPU_SUSPEND64,
    psci::CPU_OFF,
    psci::CPU_ON32,
    psci::CPU_ON64,
    psci::AFFINITY_INFO32,
    psci::AFFINITY_INFO64,
    psci::MIGRATE_INFO_TYPE,
    psci::SYSTEM_OFF,
    psci::SYSTEM_RESET,
    psci::FEATURES,
    psci::SYSTEM_RESET2_32,
    psci::SYSTEM_RESET2_64,
];

/// Makes each call and stores its answer in the data from X28 on.
fn program(calls: &[(u32, [u64; 3], i64)]) -> Program {
    let mut words = vec![0xaa1c_03fb]; // mov x27, x28
    for (function, arguments, _) in calls {
        for (n, value) in [u64::from(*function)].iter().chain(arguments).enumerate() {
            // movz and movk xN, each 16 bits
            words.extend((0..4).map(|part| {
                let move_part = if part == 0 { 0xd280_0000 } else { 0xf280_0000 };
                move_part | part << 21 | ((value >> (16 * part) & 0xffff) as u32) << 5 | n as u32
            }));
        }
        words.extend([
            0xd400_0002, // hvc #0x0
            0xf800_8760, // str x0, [x27], #8
        ]);
    }
    let here = 0x1000 + words.len() as i32 * 4;
    words.push(0x1400_0000 | (0x800 - here) as u32 >> 2 & 0x03ff_ffff); // b 800 finish
    vec![(0x1000, &*words.leak())].leak()
}

#[test]
fn calls_are_answered_as_their_standard_says() {
    // Every number of PSCI, and some beside them.
    let numbers = (0..0x20).flat_map(|n| [0x8400_0000 | n, 0xc400_0000 | n]).chain([arch::VERSION, 0x8600_0000]);
    let features = numbers.map(|function| {
        let known = FEATURES.contains(&function) || function == arch::VERSION;
        (psci::FEATURES, [u64::from(function), 0, 0], if known { SUCCESS } else { NOT_SUPPORTED })
    });
    let calls: Vec<_> = CALLS.iter().copied().chain(features).collect();
    let end = run(program(&calls), 2, JitMode::On);
    for (n, (function, arguments, answer)) in calls.into_iter().enumerate() {
        assert_eq!(end.word(DATA + 8 * n) as i64, answer, "{function:#x} {arguments:x?}");
    }
}

//! The memory map and the interrupt numbers of the board: the only place that knows them.
//!
//! | from           | size    | what                                              | interrupt  |
//! |----------------|---------|---------------------------------------------------|------------|
//! | `00_0000_0000` | 64 MiB  | firmware, where there is one                      |            |
//! | `00_0400_0000` | 64 MiB  | flash with its variables                          |            |
//! | `00_0800_0000` | 64 KiB  | GIC distributor                                   |            |
//! | `00_0808_0000` | 128 KiB | GIC interrupt translation service                 |            |
//! | `00_080a_0000` | 15 MiB  | GIC redistributors, 128 KiB for each CPU          |            |
//! | `00_0900_0000` | 4 KiB   | PL011 UART                                        | SPI 1      |
//! | `00_0901_0000` | 4 KiB   | PL031 real-time clock                             | SPI 2      |
//! | `00_0903_0000` | 4 KiB   | PL061 GPIO: power button                          | SPI 7      |
//! | `00_1000_0000` | 752 MiB | PCI memory below 4 GiB                            |            |
//! | `00_3eff_0000` | 64 KiB  | PCI ports                                         |            |
//! | `00_3f00_0000` | 16 MiB  | PCI configuration (ECAM), 16 buses                |            |
//! | `00_4000_0000` |         | RAM                                               |            |
//! | `80_0000_0000` | 512 GiB | PCI memory above 4 GiB                            |            |
//!
//! It is the map of the field's `virt` boards, so that firmware which is built for those finds its way here. All is
//! inside the 40 bits of physical address that the software CPU has.

/// An address range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First address.
    pub base: u64,
    /// Bytes.
    pub size: u64,
}

const fn range(base: u64, size: u64) -> Range {
    Range { base, size }
}

/// Firmware, in RAM: no firmware writes to itself.
pub const FIRMWARE: Range = range(0, 64 << 20);
/// Flash with the firmware's variables.
pub const VARIABLES: Range = range(0x0400_0000, 64 << 20);
/// GIC distributor.
pub const GICD: Range = range(0x0800_0000, 0x1_0000);
/// GIC interrupt translation service.
pub const ITS: Range = range(0x0808_0000, 0x2_0000);
/// GIC redistributors.
pub const GICR: Range = range(0x080a_0000, 0x0100_0000 - 0xa_0000);
/// PL011 UART.
pub const PL011: Range = range(0x0900_0000, 0x1000);
/// PL031 real-time clock.
pub const PL031: Range = range(0x0901_0000, 0x1000);
/// PL061 GPIO.
pub const PL061: Range = range(0x0903_0000, 0x1000);
/// PCI memory below 4 GiB.
pub const PCI_MEMORY32: Range = range(0x1000_0000, 0x2eff_0000);
/// PCI ports.
pub const PCI_PORTS: Range = range(0x3eff_0000, 0x1_0000);
/// PCI configuration space.
pub const PCI_ECAM: Range = range(0x3f00_0000, 0x0100_0000);
/// PCI bus numbers, a mebibyte of configuration space each.
pub const PCI_BUSES: u8 = (PCI_ECAM.size >> 20) as u8;
/// PCI memory above 4 GiB.
pub const PCI_MEMORY64: Range = range(0x80_0000_0000, 0x80_0000_0000);
/// Where RAM begins.
pub const RAM_BASE: u64 = 0x4000_0000;
/// The most RAM that fits, in bytes.
pub const RAM_MAX: u64 = PCI_MEMORY64.base - RAM_BASE;

/// As many CPUs as have room for their redistributors.
pub const MAX_CPUS: u32 = (GICR.size / 0x2_0000) as u32;

/// Shared peripheral interrupts that the distributor has: INTIDs 32 to 287.
pub const SPIS: u32 = 256;
/// SPI of the PL011.
pub const SPI_PL011: u32 = 1;
/// SPI of the PL031.
pub const SPI_PL031: u32 = 2;
/// SPI of the PL061.
pub const SPI_PL061: u32 = 7;

/// Private interrupts of the generic timer (BSA 1.0, 3.8.2): secure physical, physical, virtual, hypervisor.
pub const TIMER_PPIS: [u32; 4] = [29, 30, 27, 26];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_windows_overlap() {
        let mut all = [
            FIRMWARE,
            VARIABLES,
            GICD,
            ITS,
            GICR,
            PL011,
            PL031,
            PL061,
            PCI_MEMORY32,
            PCI_PORTS,
            PCI_ECAM,
            PCI_MEMORY64,
        ];
        all.sort_by_key(|r| r.base);
        for pair in all.windows(2) {
            assert!(pair[0].base + pair[0].size <= pair[1].base, "{pair:x?}");
        }
        let ends = [PCI_ECAM, PCI_MEMORY64].map(|r| r.base + r.size);
        assert_eq!(ends, [RAM_BASE, 1 << arm64::id::PA_BITS]);
    }
}

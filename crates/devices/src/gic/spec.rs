//! Registers of the GICv3, named after the Arm Generic Interrupt Controller Architecture Specification
//! (IHI 0069, GICv3 and GICv4). Offsets are from the start of a 64 KiB frame.

/// Size of one register frame.
pub(super) const FRAME: u64 = 0x1_0000;

/// First SPI (2.2.1: INTIDs 0-15 are SGIs, 16-31 PPIs, 32-1019 SPIs).
pub(super) const FIRST_SPI: u32 = 32;
/// What an acknowledge reads when there is nothing to acknowledge (2.2.1).
pub(super) const SPURIOUS: u32 = 1023;
/// First LPI.
pub(super) const FIRST_LPI: u32 = 8192;
/// INTID bits that this GIC implements, in every field that asks for them.
pub(super) const INTID_BITS: u32 = 16;
/// Running priority of a CPU that handles nothing (4.8).
pub(super) const IDLE_PRIORITY: u8 = 0xff;
/// The priority bits that are implemented: 5, so 32 levels (4.8).
pub(super) const PRIORITY_MASK: u8 = 0xf8;
/// Smallest binary point with 5 priority bits, for Group 0 (4.8.2); Group 1's is one more.
pub(super) const MIN_BPR0: u8 = 2;

/// The same value for GICD_IIDR, GICR_IIDR and GITS_IIDR: implementer Arm, no product.
pub(super) const IIDR_VALUE: u32 = 0x43b;

// Registers in the same place in GICD and in a redistributor's SGI frame (12.9, 12.11).
pub(super) const IGROUPR: u64 = 0x0080;
pub(super) const ISENABLER: u64 = 0x0100;
pub(super) const ICENABLER: u64 = 0x0180;
pub(super) const ISPENDR: u64 = 0x0200;
pub(super) const ICPENDR: u64 = 0x0280;
pub(super) const ISACTIVER: u64 = 0x0300;
pub(super) const ICACTIVER: u64 = 0x0380;
pub(super) const IPRIORITYR: u64 = 0x0400;
pub(super) const IPRIORITYR_END: u64 = 0x0800;
pub(super) const ICFGR: u64 = 0x0c00;
pub(super) const ICFGR_END: u64 = 0x0d00;

// The distributor (12.9).
pub(super) const GICD_CTLR: u64 = 0x0000;
pub(super) const GICD_TYPER: u64 = 0x0004;
pub(super) const GICD_IIDR: u64 = 0x0008;
pub(super) const GICD_SETSPI_NSR: u64 = 0x0040;
pub(super) const GICD_CLRSPI_NSR: u64 = 0x0048;
pub(super) const GICD_IROUTER: u64 = 0x6000;
pub(super) const GICD_IROUTER_END: u64 = 0x7fe0;

/// GICD_CTLR.EnableGrp0.
pub(super) const CTLR_GRP0: u32 = 1 << 0;
/// GICD_CTLR.EnableGrp1.
pub(super) const CTLR_GRP1: u32 = 1 << 1;
/// GICD_CTLR.ARE: affinity routing, always on.
pub(super) const CTLR_ARE: u32 = 1 << 4;
/// GICD_CTLR.DS: one security state.
pub(super) const CTLR_DS: u32 = 1 << 6;

/// GICD_TYPER.MBIS: SPIs by message.
pub(super) const TYPER_MBIS: u32 = 1 << 16;
/// GICD_TYPER.LPIS.
pub(super) const TYPER_LPIS: u32 = 1 << 17;
/// GICD_TYPER.IDbits, INTID bits minus one.
pub(super) const TYPER_IDBITS_SHIFT: u32 = 19;
/// GICD_TYPER.A3V: affinity 3 may be non-zero.
pub(super) const TYPER_A3V: u32 = 1 << 24;
/// GICD_TYPER.No1N: no 1-of-N distribution.
pub(super) const TYPER_NO1N: u32 = 1 << 25;
/// GICD_TYPER.RSS: affinity 0 from 0 to 255 in SGIs.
pub(super) const TYPER_RSS: u32 = 1 << 26;
/// The affinity fields of GICD_IROUTER.
pub(super) const IROUTER_MASK: u64 = 0xff_00ff_ffff;

// A redistributor's RD frame (12.11).
pub(super) const GICR_CTLR: u64 = 0x0000;
pub(super) const GICR_IIDR: u64 = 0x0004;
pub(super) const GICR_TYPER: u64 = 0x0008;
pub(super) const GICR_WAKER: u64 = 0x0014;
pub(super) const GICR_PROPBASER: u64 = 0x0070;
pub(super) const GICR_PENDBASER: u64 = 0x0078;

/// GICR_CTLR.EnableLPIs.
pub(super) const CTLR_ENABLE_LPIS: u32 = 1 << 0;
/// GICR_CTLR.CES: EnableLPIs can be cleared.
pub(super) const CTLR_CES: u32 = 1 << 1;
/// GICR_TYPER.PLPIS.
pub(super) const RTYPER_PLPIS: u64 = 1 << 0;
/// GICR_TYPER.Last.
pub(super) const RTYPER_LAST: u64 = 1 << 4;
/// GICR_TYPER.Processor_Number.
pub(super) const RTYPER_NUMBER_SHIFT: u32 = 8;
/// GICR_TYPER.Affinity_Value.
pub(super) const RTYPER_AFFINITY_SHIFT: u32 = 32;
/// GICR_WAKER.ProcessorSleep.
pub(super) const WAKER_PROCESSOR_SLEEP: u32 = 1 << 1;
/// GICR_WAKER.ChildrenAsleep.
pub(super) const WAKER_CHILDREN_ASLEEP: u32 = 1 << 2;
/// Writable bits of GICR_PROPBASER: OuterCache, Physical_Address, Shareability, InnerCache, IDbits.
pub(super) const PROPBASER_MASK: u64 = 0x070f_ffff_ffff_ff9f;
/// Writable bits of GICR_PENDBASER: PTZ, OuterCache, Physical_Address, Shareability, InnerCache.
pub(super) const PENDBASER_MASK: u64 = 0x470f_ffff_ffff_0f80;
/// GICR_PENDBASER.PTZ: the pending table is zero. Reads as zero.
pub(super) const PENDBASER_PTZ: u64 = 1 << 62;

// The identification registers, at the end of every frame (12.1.2 and the tables of each frame).
pub(super) const ID_REGISTERS: u64 = 0xffd0;
/// Part numbers, PIDR0.
pub(super) const PART_GICD: u32 = 0x92;
/// Part number of a redistributor.
pub(super) const PART_GICR: u32 = 0x93;
/// Part number of the ITS.
pub(super) const PART_GITS: u32 = 0x94;

/// What an identification register at `offset` of its frame reads: PIDR4-7, PIDR0-3, CIDR0-3.
pub(super) fn id_register(offset: u64, part: u32) -> u32 {
    // PIDR2: ArchRev 3 (GICv3), JEDEC; with PIDR1 and PIDR4 the designer is Arm.
    let ids = [0x44, 0, 0, 0, part, 0xb4, 0x3b, 0, 0x0d, 0xf0, 0x05, 0xb1];
    offset.checked_sub(ID_REGISTERS).and_then(|at| ids.get(at as usize / 4)).copied().unwrap_or(0)
}

/// The encoding of a register `S3_0_Cn_Cm_op2` as `op0[15:14] op1[13:11] CRn[10:7] CRm[6:3] op2[2:0]`.
const fn icc(crn: u16, crm: u16, op2: u16) -> u16 {
    3 << 14 | crn << 7 | crm << 3 | op2
}

// The CPU interface (12.2).
pub(super) const ICC_PMR_EL1: u16 = icc(4, 6, 0);
pub(super) const ICC_IAR0_EL1: u16 = icc(12, 8, 0);
pub(super) const ICC_EOIR0_EL1: u16 = icc(12, 8, 1);
pub(super) const ICC_HPPIR0_EL1: u16 = icc(12, 8, 2);
pub(super) const ICC_BPR0_EL1: u16 = icc(12, 8, 3);
pub(super) const ICC_AP0R0_EL1: u16 = icc(12, 8, 4);
pub(super) const ICC_AP1R0_EL1: u16 = icc(12, 9, 0);
pub(super) const ICC_DIR_EL1: u16 = icc(12, 11, 1);
pub(super) const ICC_RPR_EL1: u16 = icc(12, 11, 3);
pub(super) const ICC_SGI1R_EL1: u16 = icc(12, 11, 5);
pub(super) const ICC_ASGI1R_EL1: u16 = icc(12, 11, 6);
pub(super) const ICC_SGI0R_EL1: u16 = icc(12, 11, 7);
pub(super) const ICC_IAR1_EL1: u16 = icc(12, 12, 0);
pub(super) const ICC_EOIR1_EL1: u16 = icc(12, 12, 1);
pub(super) const ICC_HPPIR1_EL1: u16 = icc(12, 12, 2);
pub(super) const ICC_BPR1_EL1: u16 = icc(12, 12, 3);
pub(super) const ICC_CTLR_EL1: u16 = icc(12, 12, 4);
pub(super) const ICC_SRE_EL1: u16 = icc(12, 12, 5);
pub(super) const ICC_IGRPEN0_EL1: u16 = icc(12, 12, 6);
pub(super) const ICC_IGRPEN1_EL1: u16 = icc(12, 12, 7);

/// ICC_CTLR_EL1.CBPR: ICC_BPR0_EL1 is for both groups.
pub(super) const ICC_CTLR_CBPR: u64 = 1 << 0;
/// ICC_CTLR_EL1.EOImode: an EOI drops the priority only.
pub(super) const ICC_CTLR_EOIMODE: u64 = 1 << 1;
/// The fixed fields of ICC_CTLR_EL1: PRIbits 5 minus one, IDbits 16, A3V, RSS.
pub(super) const ICC_CTLR_FIXED: u64 = 4 << 8 | 1 << 15 | 1 << 18;
/// ICC_SRE_EL1: SRE, DFB and DIB, all fixed: no memory-mapped CPU interface, no bypass.
pub(super) const ICC_SRE_FIXED: u64 = 7;
/// ICC_SGI1R_EL1.IRM: every CPU but the sender.
pub(super) const SGIR_IRM: u64 = 1 << 40;

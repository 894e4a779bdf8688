//! The walk itself (DDI 0487, D8.2 and D8.3).

use super::{
    Access, AccessKind, Fault, FaultKind, Memory, Permissions, TableMemory, Translation, TranslationRegs, check,
};
use crate::sysreg::{sctlr, tcr};

/// How often a walk starts again because a descriptor changed between being read and being updated.
const UPDATE_ATTEMPTS: u32 = 64;

/// Bits 47:12, where the address of every descriptor lies.
const ADDRESS: u64 = 0xffff_ffff_f000;

/// Descriptor bits.
mod bit {
    pub(super) const VALID: u64 = 1 << 0;
    /// A table at levels 0 to 2, a page at level 3.
    pub(super) const TABLE: u64 = 1 << 1;
    pub(super) const AP2: u64 = 1 << 7;
    pub(super) const AF: u64 = 1 << 10;
    pub(super) const NG: u64 = 1 << 11;
    pub(super) const DBM: u64 = 1 << 51;
    pub(super) const CONTIGUOUS: u64 = 1 << 52;
    pub(super) const PXN: u64 = 1 << 53;
    pub(super) const UXN: u64 = 1 << 54;
    pub(super) const PXN_TABLE: u64 = 1 << 59;
    pub(super) const UXN_TABLE: u64 = 1 << 60;
    pub(super) const AP_TABLE_NO_EL0: u64 = 1 << 61;
    pub(super) const AP_TABLE_READ_ONLY: u64 = 1 << 62;
}

/// One half of the address space: the fields of `TCR_EL1` that govern it.
struct Half {
    ttbr: u64,
    /// Bits of a virtual address that are translated.
    input_bits: u32,
    /// log2 of the granule.
    granule_bits: u32,
    disabled: bool,
    closed_to_el0: bool,
    hierarchical: bool,
}

impl Half {
    fn of(regs: &TranslationRegs, upper: bool) -> Option<Self> {
        let t = regs.tcr;
        let (ttbr, size, disabled, e0pd, hpd) = if upper {
            (regs.ttbr1, t >> tcr::T1SZ_SHIFT & 0x3f, tcr::EPD1, tcr::E0PD1, tcr::HPD1)
        } else {
            (regs.ttbr0, t >> tcr::T0SZ_SHIFT & 0x3f, tcr::EPD0, tcr::E0PD0, tcr::HPD0)
        };
        // The two fields encode the granule differently; the reserved value is taken as 4 KiB.
        let granule_bits = match (upper, t >> if upper { tcr::TG1_SHIFT } else { tcr::TG0_SHIFT } & 3) {
            (false, 1) | (true, 3) => 16,
            (false, 2) | (true, 1) => 14,
            _ => 12,
        };
        // Below 16 needs FEAT_LVA, above 39 FEAT_TTST.
        (16..=39).contains(&size).then_some(Self {
            ttbr,
            input_bits: 64 - size as u32,
            granule_bits,
            disabled: t & disabled != 0,
            closed_to_el0: t & e0pd != 0,
            hierarchical: t & hpd == 0,
        })
    }
}

/// Whether `va` is in the upper half of the address space.
const fn is_upper(va: u64) -> bool {
    va >> 55 & 1 != 0
}

/// Whether the top byte of `va` is ignored.
const fn ignores_top(tcr: u64, va: u64) -> bool {
    tcr & if is_upper(va) { tcr::TBI1 } else { tcr::TBI0 } != 0
}

/// `va` with copies of bit 55 in place of the tag, where `TCR_EL1`, `tcr`, has the top byte ignored: what a branch or an
/// exception return to `va` leaves in the program counter (DDI 0487, `AArch64.BranchAddr`).
#[must_use]
pub const fn without_tag(tcr: u64, va: u64) -> u64 {
    if ignores_top(tcr, va) { ((va << 8) as i64 >> 8) as u64 } else { va }
}

/// Translates `va` for `access`, setting access and dirty flags where `TCR_EL1` has hardware do that.
///
/// # Errors
/// The fault to report. Its level is that of the descriptor at which the walk ended.
pub fn walk(regs: &TranslationRegs, va: u64, access: Access, mem: &mut impl TableMemory) -> Result<Translation, Fault> {
    let mut level = 0;
    for _ in 0..UPDATE_ATTEMPTS {
        match attempt(regs, va, access, mem)? {
            Attempt::Done(translation) => return Ok(translation),
            Attempt::Raced(at) => level = at,
        }
    }
    Err(Fault { kind: FaultKind::UnsupportedUpdate, level })
}

/// How one walk ended that met no fault.
enum Attempt {
    Done(Translation),
    /// The descriptor at this level changed before its flags could be set, most likely because another CPU set them.
    Raced(u8),
}

fn attempt(regs: &TranslationRegs, va: u64, access: Access, mem: &mut impl TableMemory) -> Result<Attempt, Fault> {
    let fault = |kind, level| Err(Fault { kind, level });
    if regs.sctlr & sctlr::M == 0 {
        return flat(regs, va, access).map(Attempt::Done);
    }

    let upper = is_upper(va);
    let Some(half) = Half::of(regs, upper) else { return fault(FaultKind::Translation, 0) };
    // Bits from the input size up to 55, or to 63 unless the top byte is ignored, must all equal bit 55.
    let outside = without_tag(regs.tcr, va) as i64 >> half.input_bits != if upper { -1 } else { 0 };
    // What E0PD forbids faults as if nothing were there, so that EL0 cannot tell the two apart by time.
    if outside || half.disabled || (access.el0 && half.closed_to_el0) {
        return fault(FaultKind::Translation, 0);
    }

    let pa_limit = 1u64 << output_bits(regs);
    let stride = half.granule_bits - 3;
    let levels = (half.input_bits - half.granule_bits).div_ceil(stride);
    let mut level = 4 - levels as u8;
    // The first table may be smaller than a granule; the base is aligned to it.
    let shift_of = |level: u8| half.granule_bits + stride * u32::from(3 - level);
    let first_bits = half.input_bits - shift_of(level) + 3;
    let mut table = half.ttbr & 0xffff_ffff_fffe & !((1 << first_bits) - 1);
    if table >= pa_limit {
        return fault(FaultKind::AddressSize, 0);
    }
    let mut index_mask = (1u64 << (first_bits - 3)) - 1;
    let mut restrictions = 0u64;

    let (descriptor, address) = loop {
        let address = table | (va >> shift_of(level) & index_mask) << 3;
        let Some(descriptor) = mem.read(address) else { return fault(FaultKind::ExternalOnWalk, level) };
        if descriptor & bit::VALID == 0 {
            return fault(FaultKind::Translation, level);
        }
        if level == 3 || descriptor & bit::TABLE == 0 {
            break (descriptor, address);
        }
        table = descriptor & ADDRESS & !((1 << half.granule_bits) - 1);
        if table >= pa_limit {
            return fault(FaultKind::AddressSize, level);
        }
        if half.hierarchical {
            restrictions |= descriptor;
        }
        index_mask = (1 << stride) - 1;
        level += 1;
    };

    let leaf = Leaf { descriptor, level, page_bits: shift_of(level), restrictions };
    let (translation, updated) = leaf.decode(regs, &half, va, pa_limit, access)?;
    if updated == descriptor {
        return Ok(Attempt::Done(translation));
    }
    match mem.compare_exchange(address, descriptor, updated) {
        None => fault(FaultKind::ExternalOnWalk, level),
        Some(Ok(_)) => Ok(Attempt::Done(translation)),
        Some(Err(_)) => Ok(Attempt::Raced(level)),
    }
}

/// The output address size: what `TCR_EL1.IPS` says, and no more than the CPU has.
fn output_bits(regs: &TranslationRegs) -> u32 {
    let ips = [32, 36, 40, 42, 44, 48, 48, 48][(regs.tcr >> tcr::IPS_SHIFT & 7) as usize];
    ips.min(u32::from(regs.pa_bits)).min(48)
}

/// Translation with the MMU off (DDI 0487, D8.2.12).
fn flat(regs: &TranslationRegs, va: u64, access: Access) -> Result<Translation, Fault> {
    let pa = if ignores_top(regs.tcr, va) { va & (u64::MAX >> 8) } else { va };
    if pa >> regs.pa_bits.min(48) != 0 {
        return Err(Fault { kind: FaultKind::AddressSize, level: 0 });
    }
    let fetch = access.kind == AccessKind::Execute;
    Ok(Translation {
        pa,
        page_bits: 12,
        level: 0,
        memory: if fetch { Memory::NORMAL_WRITE_THROUGH } else { Memory::DEVICE_NGNRNE },
        permissions: Permissions::FLAT,
        global: true,
        contiguous: false,
        shareability: 2,
    })
}

/// A valid descriptor that is not a table.
struct Leaf {
    descriptor: u64,
    level: u8,
    page_bits: u32,
    /// The table descriptors above, joined: their APTable, UXNTable and PXNTable.
    restrictions: u64,
}

impl Leaf {
    /// What the descriptor means, and what it becomes by this access.
    fn decode(
        &self,
        regs: &TranslationRegs,
        half: &Half,
        va: u64,
        pa_limit: u64,
        access: Access,
    ) -> Result<(Translation, u64), Fault> {
        let Self { descriptor: d, level, page_bits, restrictions } = *self;
        let fault = |kind| Err(Fault { kind, level });
        let is_page = level == 3;
        // Blocks: 4 KiB granule at levels 1 and 2, else at level 2. A level 3 descriptor without bit 1 is reserved.
        let block_allowed = level == 2 || (level == 1 && half.granule_bits == 12);
        if is_page != (d & bit::TABLE != 0) || !(is_page || block_allowed) {
            return fault(FaultKind::Translation);
        }
        let offset_mask = (1u64 << page_bits) - 1;
        let base = d & ADDRESS & !offset_mask;
        if base >= pa_limit {
            return fault(FaultKind::AddressSize);
        }
        let hardware_access = regs.tcr & tcr::HA != 0;
        if d & bit::AF == 0 && !hardware_access {
            return fault(FaultKind::AccessFlag);
        }

        let dirty_managed = hardware_access && regs.tcr & tcr::HD != 0 && d & bit::DBM != 0;
        let mut ap = d >> 6 & 3;
        let clean = dirty_managed && ap & 2 != 0 && restrictions & bit::AP_TABLE_READ_ONLY == 0;
        if dirty_managed {
            ap &= !2;
        }
        if restrictions & bit::AP_TABLE_NO_EL0 != 0 {
            ap &= !1;
        }
        if restrictions & bit::AP_TABLE_READ_ONLY != 0 {
            ap |= 2;
        }
        let pxn = d & bit::PXN != 0 || restrictions & bit::PXN_TABLE != 0;
        let uxn = d & bit::UXN != 0 || restrictions & bit::UXN_TABLE != 0;
        let mut permissions = Permissions::of_leaf(ap, pxn, uxn, regs.sctlr & sctlr::WXN != 0);
        if !check(permissions, access) {
            return fault(FaultKind::Permission);
        }

        let mut updated = d;
        if !access.query {
            updated |= bit::AF;
            if clean && access.kind == AccessKind::Write {
                updated &= !bit::AP2;
            }
        }
        if clean && updated & bit::AP2 != 0 {
            permissions = permissions.clean();
        }
        if half.closed_to_el0 {
            permissions = permissions.without_el0();
        }
        let translation = Translation {
            pa: base | va & offset_mask,
            page_bits: page_bits as u8,
            level,
            memory: Memory::new((regs.mair >> (8 * (d >> 2 & 7))) as u8),
            permissions,
            global: d & bit::NG == 0,
            contiguous: d & bit::CONTIGUOUS != 0,
            shareability: (d >> 8 & 3) as u8,
        };
        Ok((translation, updated))
    }
}

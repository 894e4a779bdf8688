//! System instructions: `DC`, `IC`, `TLBI` and `AT` by the encoding of their `SYS` form (DDI 0487, C5.4 to C5.6).

use crate::sysreg::encoding;

macro_rules! operations {
    ($($name:ident $op1:literal $crn:literal $crm:literal $op2:literal;)*) => {
        $(#[doc = concat!("`", stringify!($name), "`, the first `_` for a space.")]
        pub const $name: u16 = encoding(1, $op1, $crn, $crm, $op2);)*
        /// All of them by name.
        pub const ALL: &[(&str, u16)] = &[$((stringify!($name), $name)),*];
    };
}

operations! {
    IC_IALLUIS 0 7 1 0;
    IC_IALLU 0 7 5 0;
    IC_IVAU 3 7 5 1;
    DC_IVAC 0 7 6 1;
    DC_ISW 0 7 6 2;
    DC_CSW 0 7 10 2;
    DC_CISW 0 7 14 2;
    DC_ZVA 3 7 4 1;
    DC_CVAC 3 7 10 1;
    DC_CVAU 3 7 11 1;
    DC_CIVAC 3 7 14 1;
    AT_S1E1R 0 7 8 0;
    AT_S1E1W 0 7 8 1;
    AT_S1E0R 0 7 8 2;
    AT_S1E0W 0 7 8 3;
    TLBI_VMALLE1IS 0 8 3 0;
    TLBI_VAE1IS 0 8 3 1;
    TLBI_ASIDE1IS 0 8 3 2;
    TLBI_VAAE1IS 0 8 3 3;
    TLBI_VALE1IS 0 8 3 5;
    TLBI_VAALE1IS 0 8 3 7;
    TLBI_VMALLE1 0 8 7 0;
    TLBI_VAE1 0 8 7 1;
    TLBI_ASIDE1 0 8 7 2;
    TLBI_VAAE1 0 8 7 3;
    TLBI_VALE1 0 8 7 5;
    TLBI_VAALE1 0 8 7 7;
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_two_operations_share_an_encoding() {
        let mut seen: Vec<u16> = super::ALL.iter().map(|o| o.1).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), super::ALL.len());
    }
}

//! Differences, in words.

use crate::{Case, Outcome, Stop};
use std::fmt::Write;

/// Whether two faults are the same. How far a load or a store gets before one is up to the CPU; but the base register
/// must be as it was, so that the instruction can be run again.
fn same_fault(case: &Case, reference: &Outcome, subject: &Outcome) -> bool {
    let base =
        |o: &Outcome| case.words.iter().map(|w| o.state.x.get((w >> 5 & 31) as usize).copied()).collect::<Vec<_>>();
    let key = |o: &Outcome| (o.stop, o.state.pc, o.state.sp, base(o));
    key(reference) == key(subject)
}

/// Lists what differs between the reference's outcome and the subject's; `None` if nothing does.
#[must_use]
pub fn difference(case: &Case, reference: &Outcome, subject: &Outcome) -> Option<String> {
    if reference == subject || reference.stop == Stop::Fault && same_fault(case, reference, subject) {
        return None;
    }
    let mut text = format!("{}:", case.name);
    for word in &case.words {
        let _ = write!(text, " {word:08x}");
    }
    let (r, s, before) = (&reference.state, &subject.state, &case.state);
    let _ = writeln!(text, "  fpcr {:08x} fpsr {:08x} nzcv {:x}", before.fpcr, before.fpsr, before.nzcv >> 28);
    let mut line = |name: String, before: String, reference: String, subject: String| {
        if reference != subject {
            let _ = writeln!(text, "  {name}: was {before}, reference {reference}, ours {subject}");
        }
    };
    line("end".into(), String::new(), format!("{:?}", reference.stop), format!("{:?}", subject.stop));
    line("pc".into(), String::new(), format!("{:x}", r.pc), format!("{:x}", s.pc));
    line("sp".into(), format!("{:x}", before.sp), format!("{:x}", r.sp), format!("{:x}", s.sp));
    line("nzcv".into(), format!("{:x}", before.nzcv), format!("{:x}", r.nzcv), format!("{:x}", s.nzcv));
    line("fpsr".into(), format!("{:08x}", before.fpsr), format!("{:08x}", r.fpsr), format!("{:08x}", s.fpsr));
    line("fpcr".into(), format!("{:08x}", before.fpcr), format!("{:08x}", r.fpcr), format!("{:08x}", s.fpcr));
    for k in 0..31 {
        line(format!("x{k}"), format!("{:x}", before.x[k]), format!("{:x}", r.x[k]), format!("{:x}", s.x[k]));
    }
    for k in 0..32 {
        line(format!("v{k}"), format!("{:032x}", before.v[k]), format!("{:032x}", r.v[k]), format!("{:032x}", s.v[k]));
    }
    for (k, (r, s)) in reference.memory.chunks(8).zip(subject.memory.chunks(8)).enumerate() {
        line(
            format!("memory+{:x}", 8 * k),
            format!("{:02x?}", &case.memory[8 * k..8 * k + 8]),
            format!("{r:02x?}"),
            format!("{s:02x?}"),
        );
    }
    // The operands, by the fields that most instructions have.
    let word = case.words[0];
    for (field, at) in [("Rd", 0), ("Rn", 5), ("Ra", 10), ("Rm", 16)] {
        let n = (word >> at & 31) as usize;
        let x = before.x.get(n).copied().unwrap_or(before.sp);
        let _ = writeln!(text, "  {field} = {n}: v {:032x} x {x:x}", before.v[n]);
    }
    Some(text)
}

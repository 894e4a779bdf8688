//! SHA-1 and SHA-256 (FIPS 180-4) as the Arm manual cuts them into instructions.

use crate::cpu::Cpu;
use crate::isa::Insn;
use crate::trap::Trap;

fn words(v: u128) -> [u32; 4] {
    std::array::from_fn(|k| (v >> (32 * k)) as u32)
}

fn vector(w: [u32; 4]) -> u128 {
    w.iter().rev().fold(0, |r, &x| r << 32 | u128::from(x))
}

fn choose(x: u32, y: u32, z: u32) -> u32 {
    (y ^ z) & x ^ z
}

fn parity(x: u32, y: u32, z: u32) -> u32 {
    x ^ y ^ z
}

fn majority(x: u32, y: u32, z: u32) -> u32 {
    x & y | (x | y) & z
}

/// Four rounds of SHA-1 on a, b, c, d in `Rd` and e in `Rn`, with the message words plus constant in `Rm`.
fn sha1_rounds(cpu: &mut Cpu, i: Insn, f: fn(u32, u32, u32) -> u32) -> Result<(), Trap> {
    let [mut a, mut b, mut c, mut d] = words(cpu.v[i.rd()]);
    let mut e = cpu.v[i.rn()] as u32;
    for w in words(cpu.v[i.rm()]) {
        let t = e.wrapping_add(a.rotate_left(5)).wrapping_add(f(b, c, d)).wrapping_add(w);
        (a, b, c, d, e) = (t, a, b.rotate_left(30), c, d);
    }
    cpu.v[i.rd()] = vector([a, b, c, d]);
    Ok(())
}

/// SHA1C
pub(crate) fn sha1c(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    sha1_rounds(cpu, i, choose)
}

/// SHA1P
pub(crate) fn sha1p(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    sha1_rounds(cpu, i, parity)
}

/// SHA1M
pub(crate) fn sha1m(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    sha1_rounds(cpu, i, majority)
}

/// SHA1SU0
pub(crate) fn sha1su0(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let (d, n, m) = (cpu.v[i.rd()], cpu.v[i.rn()], cpu.v[i.rm()]);
    cpu.v[i.rd()] = (d >> 64 | n << 64) ^ d ^ m;
    Ok(())
}

/// SHA1SU1
pub(crate) fn sha1su1(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let t = words(cpu.v[i.rd()] ^ cpu.v[i.rn()] >> 32).map(|x| x.rotate_left(1));
    cpu.v[i.rd()] = vector([t[0], t[1], t[2], t[3] ^ t[0].rotate_left(1)]);
    Ok(())
}

/// SHA1H
pub(crate) fn sha1h(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    cpu.v[i.rd()] = (cpu.v[i.rn()] as u32).rotate_left(30).into();
    Ok(())
}

/// Four rounds of SHA-256: gives a, b, c, d and e, f, g, h.
fn sha256_rounds(abcd: u128, efgh: u128, w: u128) -> (u128, u128) {
    let ([mut a, mut b, mut c, mut d], [mut e, mut f, mut g, mut h]) = (words(abcd), words(efgh));
    for w in words(w) {
        let sigma1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let sigma0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let t1 = h.wrapping_add(sigma1).wrapping_add(choose(e, f, g)).wrapping_add(w);
        let t2 = sigma0.wrapping_add(majority(a, b, c));
        (a, b, c, d, e, f, g, h) = (t1.wrapping_add(t2), a, b, c, d.wrapping_add(t1), e, f, g);
    }
    (vector([a, b, c, d]), vector([e, f, g, h]))
}

/// SHA256H
pub(crate) fn sha256h(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    cpu.v[i.rd()] = sha256_rounds(cpu.v[i.rd()], cpu.v[i.rn()], cpu.v[i.rm()]).0;
    Ok(())
}

/// SHA256H2
pub(crate) fn sha256h2(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    cpu.v[i.rd()] = sha256_rounds(cpu.v[i.rn()], cpu.v[i.rd()], cpu.v[i.rm()]).1;
    Ok(())
}

/// SHA256SU0
pub(crate) fn sha256su0(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let (d, n) = (cpu.v[i.rd()], cpu.v[i.rn()]);
    let (d, next) = (words(d), words(d >> 32 | n << 96));
    cpu.v[i.rd()] = vector(std::array::from_fn(|k| {
        let x = next[k];
        d[k].wrapping_add(x.rotate_right(7) ^ x.rotate_right(18) ^ x >> 3)
    }));
    Ok(())
}

/// SHA256SU1
pub(crate) fn sha256su1(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let (mut r, n, m) = (words(cpu.v[i.rd()]), words(cpu.v[i.rn()]), words(cpu.v[i.rm()]));
    let sigma = |x: u32| x.rotate_right(17) ^ x.rotate_right(19) ^ x >> 10;
    let older = [n[1], n[2], n[3], m[0]];
    for k in 0..4 {
        let recent = if k < 2 { m[k + 2] } else { r[k - 2] };
        r[k] = r[k].wrapping_add(older[k]).wrapping_add(sigma(recent));
    }
    cpu.v[i.rd()] = vector(r);
    Ok(())
}

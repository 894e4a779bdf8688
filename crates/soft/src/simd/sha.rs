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

/// Four rounds of SHA-1 on a, b, c, d and e, with the message words plus constant in `w`.
fn rounds1(abcd: u128, mut e: u32, w: u128, f: fn(u32, u32, u32) -> u32) -> u128 {
    let [mut a, mut b, mut c, mut d] = words(abcd);
    for w in words(w) {
        let t = e.wrapping_add(a.rotate_left(5)).wrapping_add(f(b, c, d)).wrapping_add(w);
        (a, b, c, d, e) = (t, a, b.rotate_left(30), c, d);
    }
    vector([a, b, c, d])
}

fn sha1_rounds(cpu: &mut Cpu, i: Insn, f: fn(u32, u32, u32) -> u32) -> Result<(), Trap> {
    cpu.v[i.rd()] = rounds1(cpu.v[i.rd()], cpu.v[i.rn()] as u32, cpu.v[i.rm()], f);
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
fn rounds256(abcd: u128, efgh: u128, w: u128) -> (u128, u128) {
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
    cpu.v[i.rd()] = rounds256(cpu.v[i.rd()], cpu.v[i.rn()], cpu.v[i.rm()]).0;
    Ok(())
}

/// SHA256H2
pub(crate) fn sha256h2(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    cpu.v[i.rd()] = rounds256(cpu.v[i.rn()], cpu.v[i.rd()], cpu.v[i.rm()]).1;
    Ok(())
}

/// SHA256SU0
pub(crate) fn sha256su0(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    cpu.v[i.rd()] = update0(cpu.v[i.rd()], cpu.v[i.rn()]);
    Ok(())
}

/// The first half of a step of SHA-256's message schedule.
fn update0(d: u128, n: u128) -> u128 {
    let (d, next) = (words(d), words(d >> 32 | n << 96));
    vector(std::array::from_fn(|k| {
        let x = next[k];
        d[k].wrapping_add(x.rotate_right(7) ^ x.rotate_right(18) ^ x >> 3)
    }))
}

/// SHA256SU1
pub(crate) fn sha256su1(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    cpu.v[i.rd()] = update1(cpu.v[i.rd()], cpu.v[i.rn()], cpu.v[i.rm()]);
    Ok(())
}

/// The second half.
fn update1(d: u128, n: u128, m: u128) -> u128 {
    let (mut r, n, m) = (words(d), words(n), words(m));
    let sigma = |x: u32| x.rotate_right(17) ^ x.rotate_right(19) ^ x >> 10;
    let older = [n[1], n[2], n[3], m[0]];
    for k in 0..4 {
        let recent = if k < 2 { m[k + 2] } else { r[k - 2] };
        r[k] = r[k].wrapping_add(older[k]).wrapping_add(sigma(recent));
    }
    vector(r)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of "abc" (FIPS 180-4), in the manual's steps. The constants are the fractions of the cube roots of the
    /// first 64 primes, the initial values those of the square roots of the first 8.
    #[test]
    fn sha256_of_abc() {
        let primes: Vec<u64> = (2..312).filter(|n| (2..*n).all(|d| n % d != 0)).collect();
        let fraction = |root: f64| (root.fract() * 4_294_967_296.0) as u32;
        let constant: Vec<u32> = primes.iter().map(|p| fraction((*p as f64).cbrt())).collect();
        let initial: Vec<u32> = primes.iter().take(8).map(|p| fraction((*p as f64).sqrt())).collect();
        let four = |words: &[u32]| vector(std::array::from_fn(|k| words[k]));
        let start = (four(&initial[..4]), four(&initial[4..]));
        let mut message = [vector([0x6162_6380, 0, 0, 0]), 0, 0, vector([0, 0, 0, 24])];
        let (mut abcd, mut efgh) = start;
        for constants in constant.chunks(4) {
            let add = |x: u128, y: u128| {
                let (x, y) = (words(x), words(y));
                vector(std::array::from_fn(|k| x[k].wrapping_add(y[k])))
            };
            (abcd, efgh) = rounds256(abcd, efgh, add(message[0], four(constants)));
            let next = update1(update0(message[0], message[1]), message[2], message[3]);
            message = [message[1], message[2], message[3], next];
        }
        let sum = |x: u128, y: u128| std::array::from_fn::<u32, 4, _>(|k| words(x)[k].wrapping_add(words(y)[k]));
        assert_eq!(sum(abcd, start.0), [0xba78_16bf, 0x8f01_cfea, 0x4141_40de, 0x5dae_2223]);
        assert_eq!(sum(efgh, start.1), [0xb003_61a3, 0x9617_7a9c, 0xb410_ff61, 0xf200_15ad]);
    }
}

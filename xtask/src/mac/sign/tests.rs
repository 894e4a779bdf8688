//! Signatures of a made-up program.

use super::*;

const RIGHTS: &str = include_str!("../../../../crates/vz/entitlements/russet.entitlements");
const BRIDGED: &str = include_str!("../../../../crates/vz/entitlements/russet-bridged.entitlements");
/// Where the segment `__LINKEDIT` begins, and where its signature.
const LINK: usize = 0x8000;
const ROOM: usize = LINK + 0x210;

/// A header, two segments and a signature of 32 bytes that is none yet.
fn program() -> Vec<u8> {
    let segment = |name: &str, offset: usize, size: usize| {
        let mut command = vec![0; 72];
        command[..4].copy_from_slice(&0x19u32.to_le_bytes());
        command[4..8].copy_from_slice(&72u32.to_le_bytes());
        command[8..8 + name.len()].copy_from_slice(name.as_bytes());
        for (at, number) in [(32, size.next_multiple_of(0x4000)), (40, offset), (48, size)] {
            command[at..at + 8].copy_from_slice(&(number as u64).to_le_bytes());
        }
        command
    };
    let room: Vec<u8> = [0x1d, 16, ROOM as u32, 32].iter().flat_map(|number: &u32| number.to_le_bytes()).collect();
    let mut file: Vec<u8> =
        [0xfeed_facf, 0x0100_000c, 0, 2, 3, 160, 0, 0].iter().flat_map(|number: &u32| number.to_le_bytes()).collect();
    file.extend([segment("__TEXT", 0, LINK), segment("__LINKEDIT", LINK, 0x230), room].concat());
    file.resize(ROOM, 0x5a);
    file.resize(ROOM + 32, 0);
    file
}

fn signed(rights: &str) -> Vec<u8> {
    let mut program = program();
    sign(&mut program, "russet", rights).unwrap();
    program
}

#[test]
fn a_signed_program_is_whole() {
    let program = signed(RIGHTS);
    let file = MachO::new(&program).unwrap();
    let link = file.segment("__LINKEDIT").unwrap();
    assert_eq!(link.offset + link.size, program.len() as u64);
    assert_eq!(link.memory_size % MEMORY_PAGE, 0);
    verify::verify(&program).unwrap();
    let text = String::from_utf8_lossy(&program);
    assert!(text.contains("<key>com.apple.security.virtualization</key>"));
    assert!(!text.contains("com.apple.vm.networking"));
    assert!(String::from_utf8_lossy(&signed(BRIDGED)).contains("com.apple.vm.networking"));
}

#[test]
fn a_program_is_signed_again() {
    let mut program = signed(BRIDGED);
    sign(&mut program, "russet", RIGHTS).unwrap();
    assert_eq!(program, signed(RIGHTS));
}

#[test]
fn a_bit_that_changes_in_the_code_or_in_the_rights_is_found() {
    let program = signed(RIGHTS);
    let rights = program.windows(5).position(|window| window == b"<?xml").expect("the rights");
    for at in (0..ROOM).step_by(97).chain(rights..rights + RIGHTS.len()) {
        let mut changed = program.clone();
        changed[at] ^= 1;
        assert!(verify::verify(&changed).is_err(), "byte {at} of {}", program.len());
    }
}

#[test]
fn what_is_no_program_is_refused() {
    assert!(sign(&mut Vec::new(), "russet", RIGHTS).is_err());
    let mut cut = program();
    cut.truncate(ROOM + 1);
    assert!(sign(&mut cut, "russet", RIGHTS).is_err());
    let mut longer = program();
    longer.push(0);
    assert!(sign(&mut longer, "russet", RIGHTS).is_err());
}

//! Chains over a small memory of two regions with a hole between them.

use std::io::{Read, Write};

use vm_memory::{Le16, Le32};

use super::*;

const A: u64 = 0x1000;
const B: u64 = 0x4000;
/// Where the regions end.
const A_END: u64 = 0x3000;
const B_END: u64 = 0x5000;
const TABLE: u64 = A;
const W: u16 = flag::WRITE;

fn memory() -> GuestMemory {
    let range = |start, end| (GuestAddress(start), (end - start) as usize);
    GuestMemory::from_ranges(&[range(A, A_END), range(B, B_END)]).unwrap()
}

fn write_table(memory: &GuestMemory, table: u64, descriptors: &[(u64, u32, u16)]) {
    for (i, &(addr, len, flags)) in descriptors.iter().enumerate() {
        let more = if i + 1 < descriptors.len() { flag::NEXT } else { 0 };
        let descriptor = Descriptor::new(addr, len, flags | more, i as u16 + 1);
        memory.write_obj(descriptor, GuestAddress(table + 16 * i as u64)).unwrap();
    }
}

fn walk(memory: &GuestMemory, descriptors: &[(u64, u32, u16)]) -> Result<Chain, Malformed> {
    write_table(memory, TABLE, descriptors);
    Chain::walk(memory, GuestAddress(TABLE), 64, 0, true)
}

#[test]
fn a_chain_has_a_readable_and_a_writable_part() {
    let memory = memory();
    let chain =
        walk(&memory, &[(0x2000, 3, 0), (0x2100, 0, 0), (0x2200, 5, 0), (0x2300, 7, W), (0x2400, 9, W)]).unwrap();
    assert_eq!((chain.head(), chain.readable_len(), chain.writable_len()), (0, 8, 16));
    let ranges: Vec<_> = chain.writable_ranges().collect();
    assert_eq!(ranges, [(GuestAddress(0x2300), 7), (GuestAddress(0x2400), 9)]);
}

#[test]
fn reading_goes_over_the_borders_of_buffers() {
    let memory = memory();
    memory.write_slice(b"abc", GuestAddress(0x2000)).unwrap();
    memory.write_slice(b"defghij", GuestAddress(B_END - 7)).unwrap();
    let chain = walk(&memory, &[(0x2000, 3, 0), (B_END - 7, 7, 0), (0x2300, 7, W)]).unwrap();
    let mut reader = chain.reader(&memory);
    assert_eq!(u16::from(reader.read_obj::<Le16>().unwrap()), u16::from_le_bytes(*b"ab"));
    assert_eq!(u32::from(reader.read_obj::<Le32>().unwrap()), u32::from_le_bytes(*b"cdef"));
    assert_eq!(reader.remaining(), 4);
    let mut ahead = reader.clone();
    ahead.skip(3);
    let mut rest = String::new();
    ahead.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "j");
    assert!(ahead.read_obj::<Le16>().is_err());
    let slices = reader.slices(100).unwrap();
    assert_eq!((slices.len(), slices[0].len(), reader.remaining()), (1, 4, 0));
    assert!(reader.slices(1).unwrap().is_empty());
    reader.skip(u64::MAX);
}

#[test]
fn writing_goes_over_the_borders_of_buffers_and_ends_with_them() {
    let memory = memory();
    let chain = walk(&memory, &[(0x2000, 3, W), (0x2010, 5, W)]).unwrap();
    let mut writer = chain.writer(&memory);
    writer.write_obj(Le32::from(0x0403_0201)).unwrap();
    writer.skip(1);
    assert_eq!((writer.written(), writer.remaining()), (5, 3));
    assert_eq!(writer.write(b"xyz!").unwrap(), 3);
    assert_eq!(writer.written(), 8);
    assert!(writer.write_all(b"more").is_err());
    let mut got = [0; 5];
    memory.read_slice(&mut got, GuestAddress(0x2010)).unwrap();
    assert_eq!(&got, &[4, 0, b'x', b'y', b'z']);
    let slices = chain.writer(&memory).slices(4).unwrap();
    assert_eq!(slices.iter().map(VolatileSlice::len).collect::<Vec<_>>(), [3, 1]);
}

#[test]
fn a_buffer_may_touch_the_end_of_memory_and_no_more() {
    let memory = memory();
    assert!(walk(&memory, &[(A_END - 8, 8, W)]).is_ok());
    for (addr, len) in [(A_END - 8, 9), (B - 1, 2), (B_END, 1), (0, 1), (u64::MAX, 1), (u64::MAX - 4, 8), (A, u32::MAX)]
    {
        assert_eq!(walk(&memory, &[(addr, len, 0)]).unwrap_err(), Malformed::Buffer, "{addr:#x}+{len:#x}");
    }
    assert_eq!(walk(&memory, &[(u64::MAX, 0, 0)]).unwrap().readable_len(), 0, "nothing is nowhere");
}

#[test]
fn an_indirect_table_stands_for_its_descriptors() {
    let memory = memory();
    write_table(&memory, 0x2000, &[(0x2800, 1, 0), (0x2801, 2, W), (0x2803, 3, W)]);
    let table = (0x2000, 48, flag::INDIRECT);
    let chain = walk(&memory, &[table]).unwrap();
    assert_eq!((chain.readable_len(), chain.writable_len()), (1, 5));
    // After direct ones, too (2.7.5.3).
    let chain = walk(&memory, &[(0x2900, 10, 0), table]).unwrap();
    assert_eq!((chain.readable_len(), chain.writable_len()), (11, 5));
    assert_eq!(walk(&memory, &[(0x2900, 10, W), table]).unwrap_err(), Malformed::Order);
    assert_eq!(walk(&memory, &[table, table]).unwrap_err(), Malformed::Indirect);
    assert_eq!(walk(&memory, &[(0x2000, 32, flag::INDIRECT)]).unwrap_err(), Malformed::Index, "cut off");
    assert_eq!(walk(&memory, &[(B_END - 16, 48, flag::INDIRECT)]).unwrap().readable_len(), 0, "one empty descriptor");
    assert_eq!(walk(&memory, &[(B_END, 16, flag::INDIRECT)]).unwrap_err(), Malformed::Ring);
    let refused = Chain::walk(&memory, GuestAddress(TABLE), 64, 0, false).unwrap_err();
    assert_eq!(refused, Malformed::Indirect);
}

#[test]
fn the_length_of_a_chain_is_bounded() {
    let memory = GuestMemory::from_ranges(&[(GuestAddress(0), 1 << 20)]).unwrap();
    let long = vec![(0x10, 1, 0); 2000];
    write_table(&memory, 0x1_0000, &long);
    memory.write_obj(Descriptor::new(0x1_0000, 32_000, flag::INDIRECT, 0), GuestAddress(0)).unwrap();
    assert_eq!(Chain::walk(&memory, GuestAddress(0), 8, 0, true).unwrap_err(), Malformed::Loop);
    write_table(&memory, 0x1_0000, &long[..1024]);
    assert_eq!(Chain::walk(&memory, GuestAddress(0), 8, 0, true).unwrap().readable_len(), 1024);
    // The table of a queue, used whole, is no loop.
    write_table(&memory, 0, &[(0x10, 1, 0); 8]);
    assert_eq!(Chain::walk(&memory, GuestAddress(0), 8, 0, true).unwrap().readable_len(), 8);
    write_table(&memory, 0, &[(0x10, 1, 0); 9]);
    assert_eq!(Chain::walk(&memory, GuestAddress(0), 8, 0, true).unwrap_err(), Malformed::Index);
    memory.write_obj(Descriptor::new(0x10, 1, flag::NEXT, 3), GuestAddress(16 * 7)).unwrap();
    assert_eq!(Chain::walk(&memory, GuestAddress(0), 8, 0, true).unwrap_err(), Malformed::Loop);
}

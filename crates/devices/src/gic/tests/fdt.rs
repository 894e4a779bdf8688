//! The device tree node.

use super::super::Phandles;
use super::*;

#[test]
fn the_node_has_what_the_binding_wants() {
    let mut w = vm_fdt::FdtWriter::new().unwrap();
    let root = w.begin_node("").unwrap();
    Board::bare(2).gic.fdt(&mut w, Phandles { gic: 0x51, its: 0x52 }).unwrap();
    w.end_node(root).unwrap();
    let blob = w.finish().unwrap();
    let has = |text: &[u8]| blob.windows(text.len()).any(|part| part == text);
    let reg = |pairs: &[u64]| pairs.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<_>>();
    for text in ["interrupt-controller@8000000", "arm,gic-v3", "msi-controller@8080000", "arm,gic-v3-its"] {
        assert!(has(&[text.as_bytes(), &[0]].concat()), "{text}");
    }
    assert!(has(&reg(&[DIST, 0x1_0000, REDIST, 0x4_0000])));
    assert!(has(&reg(&[ITS, 0x2_0000])));
    assert!(has(&[0, 0, 0, 0x51]) && has(&[0, 0, 0, 0x52]));
}

//! The memory-mapped registers of the distributor and the redistributors.

use super::*;

#[test]
fn the_registers_say_what_linux_looks_for() {
    let board = Board::bare(2);
    for frame in [DIST, REDIST, REDIST + FRAME, REDIST + 2 * FRAME] {
        assert_eq!(board.read(frame + 0xffe8) >> 4 & 15, 3, "PIDR2.ArchRev at {frame:#x}");
        assert_eq!([0, 4, 8, 12].map(|i| board.read(frame + 0xfff0 + i)), [0x0d, 0xf0, 0x05, 0xb1]);
    }
    assert_eq!(board.read(DIST + GICD_CTLR), CTLR_DS | CTLR_ARE);
    let typer = board.read(DIST + GICD_TYPER);
    assert_eq!((typer & 0x1f, typer >> 19 & 0x1f, typer >> 10 & 1), (8, 15, 0), "288 INTIDs, 16 bits, one state");
    board.write(board.rd(1) + GICR_WAKER, 2);
    assert_eq!((board.read(board.rd(0) + GICR_WAKER), board.read(board.rd(1) + GICR_WAKER)), (0, 6));
    board.write(board.rd(1) + GICR_WAKER, 0);
    assert_eq!(board.read(board.rd(1) + GICR_WAKER), 0);
}

#[test]
fn a_redistributor_tells_its_cpu_and_whether_it_is_the_last() {
    let board = Board::bare(6);
    let typer = |cpu| board.read64(board.rd(cpu) + GICR_TYPER);
    assert_eq!(typer(0), RTYPER_PLPIS);
    assert_eq!(typer(5), 0x0101 << 32 | 5 << 8 | RTYPER_LAST | RTYPER_PLPIS);
    assert_eq!(board.read(board.rd(5) + GICR_TYPER + 4), 0x0101);
}

#[test]
fn set_and_clear_registers_change_the_bits_that_are_written() {
    let board = Board::bare(1);
    for frame_word in [DIST + 4, board.sgi(0)] {
        for (set, clear) in [(ISENABLER, ICENABLER), (ISPENDR, ICPENDR), (ISACTIVER, ICACTIVER)] {
            board.write(frame_word + set, 0x0f0f_0000);
            board.write8(frame_word + set + 3, 0x30);
            board.write(frame_word + clear, 0x0001_0000);
            assert_eq!(board.read(frame_word + set), 0x3f0e_0000);
            assert_eq!(board.read(frame_word + clear), 0x3f0e_0000);
        }
    }
    assert_eq!(board.read(DIST + ISENABLER), 0, "the distributor does not show private interrupts");
    assert_eq!(board.read(board.sgi(0) + ISENABLER + 4), 0);
    assert_eq!(board.read(DIST + ISENABLER + 9 * 4), 0, "there is no INTID 288");
}

#[test]
fn sgis_are_always_edge_triggered() {
    let board = Board::bare(1);
    board.write(board.sgi(0) + ICFGR, 0);
    board.write(board.sgi(0) + ICFGR + 4, 0x8000_0002);
    assert_eq!(board.read(board.sgi(0) + ICFGR), 0xaaaa_aaaa);
    assert_eq!(board.read(board.sgi(0) + ICFGR + 4), 0x8000_0002);
}

#[test]
fn priorities_are_bytes() {
    let board = Board::bare(1);
    board.write8(DIST + IPRIORITYR + 45, 0xff);
    assert_eq!(board.read(DIST + IPRIORITYR + 44), 0xf800);
    board.write(board.sgi(0) + IPRIORITYR + 28, 0x1020_3040);
    assert_eq!(board.read(board.sgi(0) + IPRIORITYR + 28), 0x1020_3040);
}

#[test]
fn an_spi_goes_where_it_is_routed_and_follows_a_new_route() {
    let board = Board::new(6);
    let line = board.gic.spi_line(9);
    board.write64(DIST + GICD_IROUTER + 8 * 41, 0x0101);
    line.set_level(true);
    assert_eq!((board.irq(0), board.irq(5)), (false, true));
    board.write64(DIST + GICD_IROUTER + 8 * 41, 2);
    assert_eq!((board.irq(5), board.irq(2)), (false, true));
    board.write64(DIST + GICD_IROUTER + 8 * 41, 0xff_0000_0002);
    assert_eq!(board.read64(DIST + GICD_IROUTER + 8 * 41), 0xff_0000_0002);
    assert!((0..6).all(|cpu| !board.irq(cpu)), "no CPU has that affinity");
    board.write64(DIST + GICD_IROUTER + 8 * 41, 0);
    assert_eq!(board.ack(0), 41);
}

#[test]
fn messages_make_spis_pending() {
    let board = Board::new(1);
    board.edge(40);
    board.write(DIST + GICD_SETSPI_NSR, 40);
    assert_eq!(board.ack(0), 40);
    board.end(0, 40);
    assert!(!board.irq(0));
    board.write(DIST + GICD_SETSPI_NSR, 41);
    assert_eq!(board.ack(0), 41);
    board.end(0, 41);
    assert!(board.irq(0), "a level-sensitive one stays until it is cleared");
    board.write(DIST + GICD_CLRSPI_NSR, 41);
    assert!(!board.irq(0));
    for nothing in [0, 31, 288, 1023] {
        board.write(DIST + GICD_SETSPI_NSR, nothing);
    }
    assert!(!board.irq(0));
}

#[test]
fn a_reset_forgets_everything_but_the_lines() {
    let board = Board::new(1);
    board.gic.spi_line(3).set_level(true);
    board.gic.set_ppi(0, 27, true);
    assert!(board.irq(0));
    board.gic.reset();
    assert!(!board.irq(0));
    assert_eq!(board.get(0, ICC_PMR_EL1), 0);
    assert_eq!(board.read(DIST + ISENABLER + 4), 0);
    assert_eq!(board.read(DIST + ISPENDR + 4), 1 << 3);
    assert_eq!(board.read(board.sgi(0) + ISPENDR), 1 << 27);
}

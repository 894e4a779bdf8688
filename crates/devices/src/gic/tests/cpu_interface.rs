//! Priority, preemption, acknowledge and end of interrupt, SGIs.

use super::*;

const NONE: u64 = SPURIOUS as u64;

#[test]
fn a_level_interrupt_is_pending_while_its_line_is_high() {
    let board = Board::new(1);
    let line = board.gic.spi_line(0);
    line.set_level(true);
    assert!(board.irq(0));
    assert_eq!((board.get(0, ICC_HPPIR1_EL1), board.ack(0)), (32, 32));
    assert!(!board.irq(0));
    assert_eq!(board.ack(0), NONE);
    assert_eq!((board.read(DIST + ISPENDR + 4), board.read(DIST + ISACTIVER + 4)), (1, 1), "active and pending");
    board.end(0, 32);
    assert!(board.irq(0), "the device still asks");
    assert_eq!(board.ack(0), 32);
    line.set_level(false);
    board.end(0, 32);
    assert!(!board.irq(0));
    line.set_level(true);
    line.set_level(false);
    assert!(!board.irq(0));
    assert_eq!(board.ack(0), NONE);
}

#[test]
fn an_edge_interrupt_is_pending_until_it_is_acknowledged() {
    let board = Board::new(1);
    board.edge(33);
    let line = board.gic.spi_line(1);
    line.set_level(true);
    line.set_level(false);
    assert!(board.irq(0));
    assert_eq!(board.ack(0), 33);
    line.set_level(true);
    assert!(!board.irq(0), "not while the first is being handled");
    board.end(0, 33);
    assert_eq!(board.ack(0), 33);
    board.end(0, 33);
    assert!(!board.irq(0), "a line that stays high is no edge");
}

#[test]
fn a_level_interrupt_made_pending_by_software_is_so_once() {
    let board = Board::new(1);
    board.write(DIST + ISPENDR + 4, 1);
    assert_eq!(board.ack(0), 32);
    board.end(0, 32);
    assert!(!board.irq(0));
}

#[test]
fn what_is_disabled_masked_or_asleep_is_not_signalled() {
    let board = Board::new(1);
    board.gic.set_ppi(0, 27, true);
    let off_and_on = |off: &dyn Fn(), on: &dyn Fn(), what: &str| {
        assert!(board.irq(0), "before {what}");
        off();
        assert!(!board.irq(0), "{what}");
        assert_eq!(board.ack(0), NONE, "{what}");
        on();
    };
    let reg = |reg, value| move |board: &Board| board.set(0, reg, value);
    let mem = |at, value| move |board: &Board| board.write(at, value);
    off_and_on(&|| reg(ICC_PMR_EL1, 0xa0)(&board), &|| reg(ICC_PMR_EL1, 0xa8)(&board), "priority mask");
    off_and_on(&|| reg(ICC_IGRPEN1_EL1, 0)(&board), &|| reg(ICC_IGRPEN1_EL1, 1)(&board), "ICC_IGRPEN1_EL1");
    off_and_on(&|| mem(DIST, 1)(&board), &|| mem(DIST, 2)(&board), "GICD_CTLR");
    let (waker, sgi) = (board.rd(0) + GICR_WAKER, board.sgi(0));
    off_and_on(&|| mem(waker, 2)(&board), &|| mem(waker, 0)(&board), "GICR_WAKER");
    off_and_on(&|| mem(sgi + ICENABLER, 1 << 27)(&board), &|| mem(sgi + ISENABLER, 1 << 27)(&board), "enable");
    off_and_on(&|| mem(sgi + ISACTIVER, 1 << 27)(&board), &|| mem(sgi + ICACTIVER, 1 << 27)(&board), "active");
    off_and_on(&|| board.gic.set_ppi(0, 27, false), &|| board.gic.set_ppi(0, 27, true), "line");
    assert_eq!(board.ack(0), 27);
}

#[test]
fn hppir_ignores_the_mask_and_iar_does_not() {
    let board = Board::new(1);
    board.set(0, ICC_PMR_EL1, 0);
    board.gic.set_ppi(0, 30, true);
    assert_eq!((board.get(0, ICC_HPPIR1_EL1), board.ack(0)), (30, NONE));
}

#[test]
fn the_highest_priority_comes_first_then_the_lowest_number() {
    let board = Board::new(1);
    for (intid, priority) in [(40, 0x80), (70, 0x20), (71, 0x20), (100, 0xc0)] {
        board.write8(DIST + IPRIORITYR + intid, priority);
        board.gic.spi_line(intid as u32 - 32).set_level(true);
    }
    board.gic.set_ppi(0, 27, true);
    let mut order = Vec::new();
    while board.irq(0) {
        let intid = board.ack(0);
        board.write(DIST + ICENABLER + intid / 32 * 4, 1 << (intid % 32));
        board.gic.set_ppi(0, 27, intid != 27 && !order.contains(&27));
        board.end(0, intid);
        order.push(intid);
    }
    assert_eq!(order, [70, 71, 40, 27, 100]);
}

#[test]
fn only_a_higher_priority_preempts() {
    let board = Board::new(1);
    for (intid, priority) in [(40, 0x80), (41, 0x80), (42, 0x40)] {
        board.write8(DIST + IPRIORITYR + intid, priority);
    }
    let lines = [8, 9, 10].map(|spi| board.gic.spi_line(spi));
    lines[0].set_level(true);
    assert_eq!(board.get(0, ICC_RPR_EL1), 0xff);
    assert_eq!(board.ack(0), 40);
    assert_eq!(board.get(0, ICC_RPR_EL1), 0x80);
    lines[1].set_level(true);
    assert!(!board.irq(0), "the same priority does not preempt");
    lines[2].set_level(true);
    assert!(board.irq(0));
    assert_eq!(board.ack(0), 42);
    assert_eq!((board.get(0, ICC_RPR_EL1), board.get(0, ICC_AP1R0_EL1)), (0x40, 1 << 8 | 1 << 16));
    lines[2].set_level(false);
    board.end(0, 42);
    assert_eq!(board.get(0, ICC_RPR_EL1), 0x80);
    assert!(!board.irq(0));
    lines[0].set_level(false);
    board.end(0, 40);
    assert_eq!((board.ack(0), board.get(0, ICC_AP0R0_EL1)), (41, 0));
}

#[test]
fn the_binary_point_makes_priorities_alike() {
    let board = Board::new(1);
    board.write8(DIST + IPRIORITYR + 40, 0x80);
    board.write8(DIST + IPRIORITYR + 41, 0x90);
    // Bits 7:5 decide for Group 1 when ICC_BPR1_EL1 is 5.
    board.set(0, ICC_BPR1_EL1, 5);
    board.gic.spi_line(9).set_level(true);
    assert_eq!((board.ack(0), board.get(0, ICC_RPR_EL1)), (41, 0x80));
    board.gic.spi_line(8).set_level(true);
    assert!(!board.irq(0));
    board.set(0, ICC_BPR1_EL1, 4);
    assert!(!board.irq(0), "0x80 is still not higher than the running 0x80");
    board.write8(DIST + IPRIORITYR + 40, 0x78);
    assert!(board.irq(0));
}

#[test]
fn binary_points_have_a_least_value_and_can_be_common() {
    let board = Board::new(1);
    board.set(0, ICC_BPR0_EL1, 0);
    board.set(0, ICC_BPR1_EL1, 0);
    assert_eq!((board.get(0, ICC_BPR0_EL1), board.get(0, ICC_BPR1_EL1)), (2, 3));
    board.set(0, ICC_CTLR_EL1, ICC_CTLR_CBPR);
    board.set(0, ICC_BPR0_EL1, 5);
    board.set(0, ICC_BPR1_EL1, 3);
    assert_eq!(board.get(0, ICC_BPR1_EL1), 6, "one more than ICC_BPR0_EL1, and not writable");
    board.set(0, ICC_BPR0_EL1, 7);
    assert_eq!(board.get(0, ICC_BPR1_EL1), 7);
    board.set(0, ICC_CTLR_EL1, 0);
    assert_eq!(board.get(0, ICC_BPR1_EL1), 3);
}

#[test]
fn with_eoimode_1_the_priority_drops_before_the_interrupt_ends() {
    let board = Board::new(1);
    board.set(0, ICC_CTLR_EL1, ICC_CTLR_EOIMODE);
    assert_eq!(board.get(0, ICC_CTLR_EL1) & 3, 2);
    board.gic.set_ppi(0, 27, true);
    assert_eq!(board.ack(0), 27);
    board.end(0, 27);
    assert_eq!((board.get(0, ICC_RPR_EL1), board.read(board.sgi(0) + ISACTIVER)), (0xff, 1 << 27));
    assert!(!board.irq(0), "still active");
    board.gic.spi_line(0).set_level(true);
    assert_eq!(board.ack(0), 32, "others come through");
    board.set(0, ICC_DIR_EL1, 27);
    assert_eq!(board.read(board.sgi(0) + ISACTIVER), 0);
    board.end(0, 32);
    assert_eq!(board.ack(0), 27);
}

#[test]
fn dir_does_nothing_with_eoimode_0() {
    let board = Board::new(1);
    board.gic.set_ppi(0, 27, true);
    assert_eq!(board.ack(0), 27);
    board.set(0, ICC_DIR_EL1, 27);
    assert_eq!(board.read(board.sgi(0) + ISACTIVER), 1 << 27);
}

#[test]
fn group_0_is_an_fiq_with_registers_of_its_own() {
    let board = Board::new(1);
    board.write(board.sgi(0) + IGROUPR, !(1 << 27));
    board.write8(board.sgi(0) + IPRIORITYR + 27, 0x20);
    board.gic.spi_line(0).set_level(true);
    assert_eq!((board.irq(0), board.fiq(0)), (true, false));
    board.gic.set_ppi(0, 27, true);
    assert_eq!((board.irq(0), board.fiq(0)), (false, true), "the highest-priority one alone is signalled");
    assert_eq!((board.ack(0), board.get(0, ICC_HPPIR1_EL1), board.get(0, ICC_HPPIR0_EL1)), (NONE, NONE, 27));
    assert_eq!(board.get(0, ICC_IAR0_EL1), 27);
    assert_eq!((board.get(0, ICC_AP0R0_EL1), board.get(0, ICC_AP1R0_EL1)), (1 << 4, 0));
    board.end(0, 27);
    assert_eq!(board.get(0, ICC_RPR_EL1), 0x20, "the EOI register of the other group does nothing");
    board.gic.set_ppi(0, 27, false);
    board.set(0, ICC_EOIR0_EL1, 27);
    assert_eq!(board.get(0, ICC_RPR_EL1), 0xff);
    assert_eq!(board.ack(0), 32);
}

#[test]
fn an_end_is_for_the_group_of_the_highest_priority_being_handled() {
    let board = Board::new(1);
    board.write(board.sgi(0) + IGROUPR, !(1 << 27));
    board.write8(board.sgi(0) + IPRIORITYR + 27, 0x20);
    board.gic.spi_line(0).set_level(true);
    assert_eq!(board.ack(0), 32);
    board.gic.set_ppi(0, 27, true);
    assert_eq!(board.get(0, ICC_IAR0_EL1), 27);
    board.end(0, 32);
    assert_eq!((board.get(0, ICC_AP0R0_EL1), board.get(0, ICC_AP1R0_EL1)), (1 << 4, 1 << 20));
    board.set(0, ICC_EOIR0_EL1, 27);
    board.end(0, 32);
    assert_eq!(board.get(0, ICC_RPR_EL1), 0xff);
}

#[test]
fn a_pending_interrupt_can_change_its_group_and_priority() {
    let board = Board::new(1);
    board.gic.spi_line(0).set_level(true);
    board.write(DIST + IGROUPR + 4, !1);
    assert_eq!((board.irq(0), board.fiq(0)), (false, true));
    board.write(DIST + IGROUPR + 4, u32::MAX);
    assert_eq!((board.irq(0), board.fiq(0)), (true, false));
    board.write8(DIST + IPRIORITYR + 32, 0xf8);
    assert!(!board.irq(0));
}

#[test]
fn sgis_reach_the_cpus_that_are_listed() {
    // (value, receivers) with CPU 4 = 0.0.1.0 sending; INTID 5.
    let cases: [(u64, &[u32]); 6] = [
        (0b0110, &[1, 2]),
        (0b0101 | 1 << 16, &[4, 6]),
        (0b1000 | 1 << 16, &[7]),
        (SGIR_IRM, &[0, 1, 2, 3, 5, 6, 7]),
        (0b0001 | 1 << 32, &[]),
        (0b0001 | 1 << 44, &[]),
    ];
    for (value, receivers) in cases {
        let board = Board::new(8);
        board.set(4, ICC_SGI1R_EL1, value | 5 << 24);
        let got: Vec<u32> = (0..8).filter(|&cpu| board.irq(cpu)).collect();
        assert_eq!(got, receivers, "{value:#x}");
        for cpu in got {
            assert_eq!(board.ack(cpu), 5);
            board.end(cpu, 5);
            assert!(!board.irq(cpu));
        }
    }
}

#[test]
fn the_sgi_register_must_fit_the_group() {
    let board = Board::new(1);
    for (group1, reg, arrives) in [
        (true, ICC_SGI1R_EL1, true),
        (true, ICC_SGI0R_EL1, false),
        (true, ICC_ASGI1R_EL1, false),
        (false, ICC_SGI0R_EL1, true),
        (false, ICC_SGI1R_EL1, true),
    ] {
        board.write(board.sgi(0) + IGROUPR, if group1 { u32::MAX } else { 0 });
        board.set(0, reg, 3 << 24 | 1);
        assert_eq!(board.irq(0) || board.fiq(0), arrives, "{group1} {reg:#x}");
        board.write(board.sgi(0) + ICPENDR, u32::MAX);
    }
}

#[test]
fn registers_that_do_not_exist_are_undefined() {
    let board = Board::new(1);
    for reg in [ICC_AP0R0_EL1 + 1, ICC_AP1R0_EL1 + 3, ICC_EOIR1_EL1, ICC_DIR_EL1, ICC_SGI1R_EL1, 0, 0xffff] {
        assert_eq!(board.gic.read_icc(0, reg), None, "{reg:#x}");
    }
    for reg in [ICC_AP0R0_EL1 + 1, ICC_IAR1_EL1, ICC_HPPIR0_EL1, ICC_RPR_EL1, 0, 0xffff] {
        assert!(!board.gic.write_icc(0, reg, 0), "{reg:#x}");
    }
    assert_eq!(board.gic.read_icc(1, ICC_PMR_EL1), None);
    assert!(!board.gic.write_icc(1, ICC_PMR_EL1, 0));
    assert_eq!(board.get(0, ICC_SRE_EL1), 7);
    assert_eq!(board.get(0, ICC_CTLR_EL1) >> 8 & 7, 4);
}

#[test]
fn an_end_without_a_beginning_changes_nothing() {
    let board = Board::new(1);
    board.gic.set_ppi(0, 27, true);
    assert_eq!(board.ack(0), 27);
    for intid in [NONE, 1020, 5000, 0xff_ffff] {
        board.end(0, intid);
    }
    assert_eq!(board.get(0, ICC_RPR_EL1), 0xa0);
    board.end(0, 27);
    board.end(0, 27);
    assert_eq!((board.get(0, ICC_RPR_EL1), board.ack(0)), (0xff, 27));
}

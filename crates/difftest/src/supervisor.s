// Our side of the differential test: a supervisor at EL1 which runs cases at EL0 and takes all their exceptions.
//
// It is loaded at 0x40000000 and entered there with the MMU off. The host has put translation tables at TABLES. The
// supervisor asks for a batch by a store to the doorbell, which stops the CPU, and spins until the number of cases is
// in the mailbox. The records are those of the reference (record.rs), with ESR_EL1 where that has a signal. They come
// back RESULTS further on, so that a case can be run again and again from the same state.

        .equ CODE, 0x10000000
        .equ SCRATCH, 0x20000c00
        .equ MEMORY, 1024
        .equ DOORBELL, 0x09000000
        .equ TABLES, 0x40010000
        .equ MAILBOX, 0x40020000
        .equ LEFT, 8                    // in the mailbox: cases left,
        .equ AGAIN, 16                  // runs of this case left,
        .equ REPEAT, 24                 // runs of every case, from the host
        .equ RECORDS, 0x40100000
        .equ RESULTS, 0x200000
        .equ SPECIAL, 248               // sp, pc, pstate, fpsr, fpcr; in front of them x0-x30
        .equ VECTORS, 280
        .equ STOP, 792
        .equ BYTES, 800
        .equ RECORD, BYTES + MEMORY

        .global _start
        .text
_start:
        ldr     x0, =0xff               // attribute 0: write-back memory; 1: device-nGnRnE
        msr     mair_el1, x0
        ldr     x0, =0x2200993519       // TBI0, 40 bits, EPD1, write-back inner shareable walks of 39 bits, 4 KiB
        msr     tcr_el1, x0
        ldr     x0, =TABLES
        msr     ttbr0_el1, x0
        mov     x0, #(3 << 20)          // FPEN
        msr     cpacr_el1, x0
        adr     x0, vectors
        msr     vbar_el1, x0
        isb
        ldr     x0, =0x34d0d985         // M, C, I; UCI, UCT, DZE as under Linux; no alignment checks; the RES1 bits
        msr     sctlr_el1, x0
        isb
        ldr     x22, =DOORBELL
        ldr     x23, =MAILBOX
ask:    str     wzr, [x22]
wait:   ldr     x0, [x23]
        cbz     x0, wait
        str     xzr, [x23]
        str     x0, [x23, #LEFT]
        ldr     x1, [x23, #REPEAT]
        str     x1, [x23, #AGAIN]
        ldr     x1, =CODE
        add     x0, x1, x0, lsl #6
clean:  dc      cvau, x1
        ic      ivau, x1
        add     x1, x1, #16
        cmp     x1, x0
        b.lo    clean
        dsb     ish
        isb
        ldr     x0, =RECORDS + RESULTS
        mov     sp, x0
        // Falls into `enter`.

// Enters the case whose result belongs at SP_EL1.
enter:  mov     x0, sp
        sub     x0, x0, #RESULTS
        add     x0, x0, #BYTES
        ldr     x1, =SCRATCH
        bl      copy
        mov     x30, sp
        sub     x30, x30, #RESULTS
        ldp     x0, x1, [x30, #SPECIAL]
        ldr     x2, [x30, #SPECIAL + 16]
        ldr     w3, [x30, #SPECIAL + 24]
        ldr     w4, [x30, #SPECIAL + 28]
        msr     sp_el0, x0
        msr     elr_el1, x1
        and     x2, x2, #0xf0000000     // EL0t, nothing masked
        msr     spsr_el1, x2
        msr     fpsr, x3
        msr     fpcr, x4
        add     x5, x30, #VECTORS
        ldp     q0, q1, [x5]
        ldp     q2, q3, [x5, #32]
        ldp     q4, q5, [x5, #64]
        ldp     q6, q7, [x5, #96]
        ldp     q8, q9, [x5, #128]
        ldp     q10, q11, [x5, #160]
        ldp     q12, q13, [x5, #192]
        ldp     q14, q15, [x5, #224]
        ldp     q16, q17, [x5, #256]
        ldp     q18, q19, [x5, #288]
        ldp     q20, q21, [x5, #320]
        ldp     q22, q23, [x5, #352]
        ldp     q24, q25, [x5, #384]
        ldp     q26, q27, [x5, #416]
        ldp     q28, q29, [x5, #448]
        ldp     q30, q31, [x5, #480]
        ldp     x0, x1, [x30, #0]
        ldp     x2, x3, [x30, #16]
        ldp     x4, x5, [x30, #32]
        ldp     x6, x7, [x30, #48]
        ldp     x8, x9, [x30, #64]
        ldp     x10, x11, [x30, #80]
        ldp     x12, x13, [x30, #96]
        ldp     x14, x15, [x30, #112]
        ldp     x16, x17, [x30, #128]
        ldp     x18, x19, [x30, #144]
        ldp     x20, x21, [x30, #160]
        ldp     x22, x23, [x30, #176]
        ldp     x24, x25, [x30, #192]
        ldp     x26, x27, [x30, #208]
        ldp     x28, x29, [x30, #224]
        ldr     x30, [x30, #240]
        eret

// Takes a case's exception: writes the record back and goes on with the next one.
leave:  stp     x0, x1, [sp, #0]
        stp     x2, x3, [sp, #16]
        stp     x4, x5, [sp, #32]
        stp     x6, x7, [sp, #48]
        stp     x8, x9, [sp, #64]
        stp     x10, x11, [sp, #80]
        stp     x12, x13, [sp, #96]
        stp     x14, x15, [sp, #112]
        stp     x16, x17, [sp, #128]
        stp     x18, x19, [sp, #144]
        stp     x20, x21, [sp, #160]
        stp     x22, x23, [sp, #176]
        stp     x24, x25, [sp, #192]
        stp     x26, x27, [sp, #208]
        stp     x28, x29, [sp, #224]
        str     x30, [sp, #240]
        add     x5, sp, #VECTORS
        stp     q0, q1, [x5]
        stp     q2, q3, [x5, #32]
        stp     q4, q5, [x5, #64]
        stp     q6, q7, [x5, #96]
        stp     q8, q9, [x5, #128]
        stp     q10, q11, [x5, #160]
        stp     q12, q13, [x5, #192]
        stp     q14, q15, [x5, #224]
        stp     q16, q17, [x5, #256]
        stp     q18, q19, [x5, #288]
        stp     q20, q21, [x5, #320]
        stp     q22, q23, [x5, #352]
        stp     q24, q25, [x5, #384]
        stp     q26, q27, [x5, #416]
        stp     q28, q29, [x5, #448]
        stp     q30, q31, [x5, #480]
        mrs     x0, sp_el0
        mrs     x1, elr_el1
        mrs     x2, spsr_el1
        mrs     x3, fpsr
        mrs     x4, fpcr
        stp     x0, x1, [sp, #SPECIAL]
        str     x2, [sp, #SPECIAL + 16]
        str     w3, [sp, #SPECIAL + 24]
        str     w4, [sp, #SPECIAL + 28]
        mrs     x0, esr_el1
        str     x0, [sp, #STOP]
        mov     x30, sp
        add     x1, x30, #BYTES
        ldr     x0, =SCRATCH
        bl      copy
        ldr     x22, =DOORBELL
        ldr     x23, =MAILBOX
        ldr     x0, [x23, #AGAIN]
        sub     x0, x0, #1
        str     x0, [x23, #AGAIN]
        cbnz    x0, enter
        ldr     x0, [x23, #REPEAT]
        str     x0, [x23, #AGAIN]
        add     sp, sp, #RECORD
        ldr     x0, [x23, #LEFT]
        sub     x0, x0, #1
        str     x0, [x23, #LEFT]
        cbnz    x0, enter
        b       ask

// Copies MEMORY bytes from x0 to x1.
copy:   mov     x2, #MEMORY
1:      ldp     x3, x4, [x0], #16
        stp     x3, x4, [x1], #16
        subs    x2, x2, #16
        b.ne    1b
        ret

        .ltorg
        .balign 2048
vectors:
        .irp    kind, 0, 1, 2, 3, 4, 5, 6, 7
        b       .                       // nothing is expected at EL1
        .balign 128
        .endr
        b       leave                   // synchronous, from EL0

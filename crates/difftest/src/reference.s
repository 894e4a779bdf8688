// The reference side of the differential test: a static A64 Linux program without a library.
//
// It reads batches from standard input and writes their outcomes to standard output. A batch is a count N (8 bytes),
// N code windows of 64 bytes, and N records as in record.rs. Every case is entered by returning from a signal handler
// into the record's registers, and ends in a signal: BRK (the window is full of them), UDF or any undefined word, or
// a fault. The handler then writes the registers back to the record. Count 0 or the end of input ends the program.

        .equ CODE, 0x10000000
        .equ SCRATCH, 0x20000000
        .equ WINDOW, 64
        .equ BATCH, 1024
        .equ MEMORY, 1024
        .equ GENERAL, 272               // x0-x30, sp, pc, pstate: in this order in the record and in the frame
        .equ VECTOR, 520                // fpsr, fpcr, v0-v31
        .equ STOP, GENERAL + VECTOR
        .equ BYTES, STOP + 8
        .equ RECORD, BYTES + MEMORY
        .equ FRAME_GENERAL, 184         // in struct ucontext: uc_mcontext.regs
        .equ FRAME_VECTOR, 472          // in struct ucontext: fpsimd_context.fpsr

        .global _start
        .text
_start:
        ldr     x0, =CODE
        mov     x1, #(WINDOW * BATCH)
        mov     x2, #3                  // PROT_READ | PROT_WRITE
        bl      map
        ldr     x0, =SCRATCH
        mov     x1, #4096
        mov     x2, #3
        bl      map
        ldr     x0, =altstack
        mov     x1, #0
        mov     x8, #132                // sigaltstack
        svc     #0
        mov     x20, #4                 // SIGILL
        bl      handle
        mov     x20, #5                 // SIGTRAP
        bl      handle
        mov     x20, #7                 // SIGBUS
        bl      handle
        mov     x20, #11                // SIGSEGV
        bl      handle
        brk     #0                      // into the handler, which never comes back here

map:    mov     x3, #0x32               // MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS
        mov     x4, #-1
        mov     x5, #0
        mov     x8, #222                // mmap
        svc     #0
        ret

protect:
        ldr     x0, =CODE
        mov     x1, #(WINDOW * BATCH)
        mov     x8, #226                // mprotect
        svc     #0
        ret

handle: mov     x0, x20
        ldr     x1, =action
        mov     x2, #0
        mov     x3, #8
        mov     x8, #134                // rt_sigaction
        svc     #0
        ret

restorer:
        mov     x8, #139                // rt_sigreturn
        svc     #0

// x19 = frame, x21 = this record, x22 = records left; kept in `current` between signals.
handler:
        mov     x19, x2
        ldr     x20, =current
        ldp     x21, x22, [x20]
        cbz     x21, batch
        str     x0, [x21, #STOP]
        add     x0, x21, #0
        add     x1, x19, #FRAME_GENERAL
        mov     x2, #GENERAL
        bl      copy
        add     x1, x19, #FRAME_VECTOR
        mov     x2, #VECTOR
        bl      copy
        add     x0, x21, #BYTES
        ldr     x1, =SCRATCH + 4096 - MEMORY
        mov     x2, #MEMORY
        bl      copy
        add     x21, x21, #RECORD
        sub     x22, x22, #1
        cbnz    x22, enter
        ldr     x24, =records
        sub     x25, x21, x24
        mov     x23, #1
        mov     x26, #64                // write
        bl      transfer
batch:  ldr     x24, =count
        mov     x25, #8
        mov     x23, #0
        mov     x26, #63                // read
        bl      transfer
        ldr     x22, =count
        ldr     x22, [x22]
        cbz     x22, exit
        mov     x2, #3                  // PROT_READ | PROT_WRITE
        bl      protect
        ldr     x24, =CODE
        lsl     x25, x22, #6
        bl      transfer
        mov     x2, #5                  // PROT_READ | PROT_EXEC: no case may change its own code
        bl      protect
        ldr     x24, =records
        mov     x25, #RECORD
        mul     x25, x25, x22
        bl      transfer
        ldr     x21, =records
        ldr     x0, =CODE
        add     x1, x0, x22, lsl #6
clean:  dc      cvau, x0                // cache lines have 16 bytes at least
        ic      ivau, x0
        add     x0, x0, #16
        cmp     x0, x1
        b.lo    clean
        dsb     ish
        isb
enter:  stp     x21, x22, [x20]
        add     x0, x19, #FRAME_GENERAL
        mov     x1, x21
        mov     x2, #GENERAL
        bl      copy
        add     x0, x19, #FRAME_VECTOR
        mov     x2, #VECTOR
        bl      copy
        ldr     x0, =SCRATCH + 4096 - MEMORY
        add     x1, x21, #BYTES
        mov     x2, #MEMORY
        bl      copy
        b       restorer

// Copies x2 bytes, a multiple of 8, from x1 to x0; both move on.
copy:   ldr     x3, [x1], #8
        str     x3, [x0], #8
        subs    x2, x2, #8
        b.ne    copy
        ret

// Reads or writes (x26) all of x25 bytes at x24 on descriptor x23; the end of input ends the program.
transfer:
        cbz     x25, 1f
        mov     x0, x23
        mov     x1, x24
        mov     x2, x25
        mov     x8, x26
        svc     #0
        cmp     x0, #0
        b.le    exit
        add     x24, x24, x0
        sub     x25, x25, x0
        b       transfer
1:      ret

exit:   mov     x0, #0
        mov     x8, #94                 // exit_group
        svc     #0
        b       exit

        .data
        .balign 16
altstack:
        .quad   stack, 0, 65536
action: .quad   handler, 0x4c000004, restorer, 0    // SA_NODEFER | SA_ONSTACK | SA_RESTORER | SA_SIGINFO
        .bss
        .balign 16
current: .skip  16
count:  .skip   16
records: .skip  RECORD * BATCH
stack:  .skip   65536

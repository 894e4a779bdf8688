// The program's first instructions: the kernel leaves the number of arguments and the arguments on the stack.
    .text
    .globl _start
    .type _start, %function
_start:
    mov     x29, xzr
    mov     x30, xzr
    mov     x0, sp
    bl      start
    brk     #0
    .size _start, . - _start

    .section .note.GNU-stack, "", %progbits

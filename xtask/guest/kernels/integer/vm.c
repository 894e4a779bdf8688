/* An interpreter of bytecodes that counts the steps of Collatz sequences: a jump through a table for each. */
#include "../kernels.h"

enum { LIMIT = 400 };
enum code { MOVE, ADD, ADD_CONSTANT, SHIFT_RIGHT, AND_CONSTANT, TRIPLE, JUMP, JUMP_IF_ZERO, JUMP_IF_LESS, XOR, STOP };
struct operation {
    uint8_t code, to, from;
    int8_t number;
};

/* r0: the number to start at, r1: the current one, r2: steps, r3: scratch, r4: the limit, r5: a hash of all steps,
 * r6: one. */
static const struct operation collatz[] = {
    {MOVE, 1, 0, 0},           /*  0: for each number */
    {MOVE, 3, 1, 0},           /*  1: step */
    {AND_CONSTANT, 3, 3, 1},   /*  2 */
    {JUMP_IF_ZERO, 3, 0, 2},   /*  3: to 6 when even */
    {TRIPLE, 1, 1, 1},         /*  4 */
    {JUMP, 0, 0, 1},           /*  5: to 7 */
    {SHIFT_RIGHT, 1, 1, 1},    /*  6 */
    {ADD_CONSTANT, 2, 2, 1},   /*  7 */
    {XOR, 5, 1, 0},            /*  8 */
    {JUMP_IF_LESS, 6, 1, -9},  /*  9: to 1 until it is one */
    {ADD, 5, 2, 0},            /* 10 */
    {ADD_CONSTANT, 0, 0, 1},   /* 11 */
    {JUMP_IF_LESS, 0, 4, -13}, /* 12: to 0 */
    {STOP, 0, 0, 0},           /* 13 */
};

static struct operation program[sizeof collatz / sizeof collatz[0]];

static void setup(void)
{
    for (size_t i = 0; i < sizeof collatz / sizeof collatz[0]; i++)
        program[i] = collatz[i];
}

__attribute__((noinline)) static uint64_t interpret(const struct operation *at, uint64_t *r)
{
    for (;; at++) {
        switch ((enum code)at->code) {
        case MOVE:
            r[at->to] = r[at->from];
            break;
        case ADD:
            r[at->to] += r[at->from];
            break;
        case ADD_CONSTANT:
            r[at->to] = r[at->from] + (uint64_t)at->number;
            break;
        case SHIFT_RIGHT:
            r[at->to] = r[at->from] >> at->number;
            break;
        case AND_CONSTANT:
            r[at->to] = r[at->from] & (uint64_t)at->number;
            break;
        case TRIPLE:
            r[at->to] = 3 * r[at->from] + (uint64_t)at->number;
            break;
        case JUMP:
            at += at->number;
            break;
        case JUMP_IF_ZERO:
            if (r[at->to] == 0)
                at += at->number;
            break;
        case JUMP_IF_LESS:
            if (r[at->to] < r[at->from])
                at += at->number;
            break;
        case XOR:
            r[at->to] ^= r[at->from];
            break;
        case STOP:
            return r[2];
        }
    }
}

static uint64_t run(uint32_t repeats)
{
    uint64_t total = MIX_START;
    while (repeats--) {
        uint64_t r[8] = {2, 0, 0, 0, LIMIT + repeats % 16, 0, 1, 0};
        total = mix(total, interpret(program, r));
        total = mix(total, r[5]);
    }
    return total;
}

const struct kernel vm = {"vm", setup, run};

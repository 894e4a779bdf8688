/* Multiplication of big numbers by limbs, and subtraction of a multiple: what RSA does all the time. */
#include "../kernels.h"

enum { LIMBS = 32, ROUNDS = 24 };
typedef unsigned __int128 wide;
static uint64_t x[LIMBS], y[LIMBS], product[2 * LIMBS];

static void setup(void)
{
    uint64_t state = 6;
    for (int i = 0; i < LIMBS; i++) {
        x[i] = random64(&state);
        y[i] = random64(&state);
    }
}

/* to += from * by; returns the carry. */
__attribute__((noinline)) static uint64_t add_multiple(uint64_t *to, const uint64_t *from, int limbs, uint64_t by)
{
    uint64_t carry = 0;
    for (int i = 0; i < limbs; i++) {
        wide value = (wide)from[i] * by + to[i] + carry;
        to[i] = (uint64_t)value;
        carry = (uint64_t)(value >> 64);
    }
    return carry;
}

/* to -= from * by; returns the borrow. */
__attribute__((noinline)) static uint64_t subtract_multiple(uint64_t *to, const uint64_t *from, int limbs, uint64_t by)
{
    uint64_t borrow = 0;
    for (int i = 0; i < limbs; i++) {
        wide value = (wide)from[i] * by + borrow;
        uint64_t low = (uint64_t)value;
        borrow = (uint64_t)(value >> 64) + (to[i] < low);
        to[i] -= low;
    }
    return borrow;
}

static uint64_t run(uint32_t repeats)
{
    while (repeats--) {
        for (int round = 0; round < ROUNDS; round++) {
            for (int i = 0; i < 2 * LIMBS; i++)
                product[i] = 0;
            for (int i = 0; i < LIMBS; i++)
                product[i + LIMBS] = add_multiple(product + i, x, LIMBS, y[i]);
            for (int i = LIMBS; i-- > 0;)
                product[i] ^= subtract_multiple(product + i, y, LIMBS, product[i + LIMBS]);
            x[round % LIMBS] ^= product[LIMBS - 1 - round % LIMBS];
        }
    }
    uint64_t checksum = MIX_START;
    for (int i = 0; i < 2 * LIMBS; i++)
        checksum = mix(checksum, product[i]);
    return checksum;
}

const struct kernel mpi = {"mpi", setup, run};

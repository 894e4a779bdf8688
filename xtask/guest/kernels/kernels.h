/* What every kernel of the bench offers, and what all of them may use. There is no C library here: the program runs as
 * the guest's first process, and its instructions are to be the same wherever it is built. */
#ifndef KERNELS_H
#define KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Each file's code begins a page, so that no loop lies on two of them by the chance of what is before it: emulators
 * translate by pages. */
__asm__(".text\n\t.balign 4096");

/* A piece of work that can be repeated. */
struct kernel {
    const char *name;
    /* Fills the memory that the work is done on. It is not timed. */
    void (*setup)(void);
    /* Does the work `repeats` times, and returns a checksum of what came out. */
    uint64_t (*run)(uint32_t repeats);
};

extern const struct kernel sum, copy, crc, heapsort, sha256, mpi, fib, vm, list, bytes;
extern const struct kernel matmul, matmulf, nbody, fft, fftf, memcopy, strlength;

/* Marsaglia's xorshift64: the same numbers everywhere. The state is not 0. */
static inline uint64_t random64(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

/* FNV-1a over whole words, to make one checksum of many values. */
static inline uint64_t mix(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * 0x100000001b3;
}

#define MIX_START 0xcbf29ce484222325

/* Hides from the compiler that `value` does not change, so that no repeat is hoisted out of its loop. */
#define OPAQUE(value) __asm__ volatile("" : "+r"(value) : : "memory")

#endif

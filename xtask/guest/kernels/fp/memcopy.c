/* Copies memory in vectors, 64 bytes at a time, as a C library does. */
#include <arm_neon.h>

#include "../kernels.h"

enum { LENGTH = 65536 };
static uint8_t source[LENGTH] __attribute__((aligned(64))), target[LENGTH] __attribute__((aligned(64)));

static void setup(void)
{
    uint64_t state = 11;
    for (int i = 0; i < LENGTH; i++)
        source[i] = (uint8_t)random64(&state);
}

__attribute__((noinline)) static void copy_vectors(uint8_t *to, const uint8_t *from, size_t length)
{
    for (size_t at = 0; at < length; at += 64) {
        uint8x16_t a = vld1q_u8(from + at), b = vld1q_u8(from + at + 16);
        uint8x16_t c = vld1q_u8(from + at + 32), d = vld1q_u8(from + at + 48);
        vst1q_u8(to + at, a);
        vst1q_u8(to + at + 16, b);
        vst1q_u8(to + at + 32, c);
        vst1q_u8(to + at + 48, d);
    }
}

static uint64_t run(uint32_t repeats)
{
    while (repeats--) {
        copy_vectors(target, source, LENGTH);
        source[repeats % LENGTH] += target[(repeats + 1) % LENGTH];
    }
    uint64_t checksum = MIX_START;
    for (int i = 0; i < LENGTH; i++)
        checksum = mix(checksum, target[i]);
    return checksum;
}

const struct kernel memcopy = {"memcpy", setup, run};

/* Lengths of strings, 16 bytes at a time, as a C library finds them. */
#include <arm_neon.h>

#include "../kernels.h"

enum { LENGTH = 16384, LONGEST = 200 };
static char strings[LENGTH + 16] __attribute__((aligned(16)));

static void setup(void)
{
    uint64_t state = 12;
    for (int at = 0; at < LENGTH;) {
        int length = (int)(random64(&state) % LONGEST);
        for (; length-- > 0 && at < LENGTH - 1; at++)
            strings[at] = (char)('a' + at % 26);
        strings[at++] = 0;
    }
}

/* Reads whole vectors at multiples of 16, so never a page that the string is not on. */
__attribute__((noinline)) static size_t length_of(const char *string)
{
    uintptr_t skipped = (uintptr_t)string & 15;
    const uint8_t *at = (const uint8_t *)((uintptr_t)string - skipped);
    uint8x16_t zero = vceqq_u8(vld1q_u8(at), vdupq_n_u8(0));
    /* Four bits for each byte, the first byte's lowest. */
    uint64_t found = vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(zero), 4)), 0);
    found >>= 4 * skipped;
    if (found)
        return (size_t)__builtin_ctzll(found) / 4;
    do {
        at += 16;
        zero = vceqq_u8(vld1q_u8(at), vdupq_n_u8(0));
    } while (vmaxvq_u8(zero) == 0);
    found = vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(zero), 4)), 0);
    return (size_t)(at - (const uint8_t *)string) + (size_t)__builtin_ctzll(found) / 4;
}

static uint64_t run(uint32_t repeats)
{
    uint64_t checksum = MIX_START;
    while (repeats--)
        for (const char *at = strings; at < strings + LENGTH;) {
            size_t length = length_of(at);
            checksum = mix(checksum, length);
            at += length + 1;
        }
    return checksum;
}

const struct kernel strlength = {"strlen", setup, run};

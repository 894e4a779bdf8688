/* CRC-32 (IEEE 802.3, reflected) by a table, a byte at a time. */
#include "../kernels.h"

enum { LENGTH = 32768 };
static uint32_t table[256];
static uint8_t data[LENGTH];

static void setup(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++)
            value = value & 1 ? value >> 1 ^ 0xedb88320 : value >> 1;
        table[i] = value;
    }
    uint64_t state = 3;
    for (int i = 0; i < LENGTH; i++)
        data[i] = (uint8_t)random64(&state);
}

static uint64_t run(uint32_t repeats)
{
    uint32_t value = 0xffffffff;
    while (repeats--) {
        const uint8_t *at = data;
        OPAQUE(at);
        for (int i = 0; i < LENGTH; i++)
            value = table[(value ^ at[i]) & 0xff] ^ value >> 8;
    }
    return value ^ 0xffffffff;
}

const struct kernel crc = {"crc", setup, run};

/* Adds up an array: one load per addition. */
#include "../kernels.h"

enum { COUNT = 8192 };
static uint64_t numbers[COUNT];

static void setup(void)
{
    uint64_t state = 1;
    for (int i = 0; i < COUNT; i++)
        numbers[i] = random64(&state);
}

static uint64_t run(uint32_t repeats)
{
    uint64_t total = 0;
    while (repeats--) {
        const uint64_t *at = numbers;
        OPAQUE(at);
        for (int i = 0; i < COUNT; i++)
            total += at[i];
        total ^= total >> 7;
    }
    return total;
}

const struct kernel sum = {"sum", setup, run};

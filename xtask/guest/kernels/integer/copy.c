/* Copies an array word by word. */
#include "../kernels.h"

enum { COUNT = 8192 };
static uint64_t source[COUNT], target[COUNT];

static void setup(void)
{
    uint64_t state = 2;
    for (int i = 0; i < COUNT; i++)
        source[i] = random64(&state);
}

static uint64_t run(uint32_t repeats)
{
    while (repeats--) {
        const uint64_t *from = source;
        uint64_t *to = target;
        OPAQUE(from);
        OPAQUE(to);
        for (int i = 0; i < COUNT; i++)
            to[i] = from[i];
        source[repeats % COUNT] += target[(repeats + 1) % COUNT];
    }
    uint64_t checksum = MIX_START;
    for (int i = 0; i < COUNT; i++)
        checksum = mix(checksum, target[i]);
    return checksum;
}

const struct kernel copy = {"copy", setup, run};

/* Follows a linked list whose nodes lie in no order. */
#include "../kernels.h"

enum { COUNT = 8192 };
struct node {
    struct node *next;
    uint64_t value;
};
static struct node nodes[COUNT];
static uint32_t order[COUNT];

static void setup(void)
{
    uint64_t state = 7;
    for (uint32_t i = 0; i < COUNT; i++)
        order[i] = i;
    for (uint32_t i = COUNT - 1; i > 0; i--) {
        uint32_t j = (uint32_t)(random64(&state) % (i + 1)), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        nodes[order[i]].next = i + 1 < COUNT ? &nodes[order[i + 1]] : 0;
        nodes[order[i]].value = random64(&state);
    }
}

static uint64_t run(uint32_t repeats)
{
    uint64_t total = 0;
    while (repeats--) {
        const struct node *at = &nodes[order[0]];
        OPAQUE(at);
        for (; at; at = at->next)
            total += at->value;
        total ^= total >> 9;
    }
    return total;
}

const struct kernel list = {"list", setup, run};

/* Sorts numbers by a binary heap. */
#include "../kernels.h"

enum { COUNT = 8192 };
static uint32_t heap[COUNT];

static void setup(void)
{
}

/* Lets the number at `root` sink to its place in the heap of `count` numbers. */
static void sink(uint32_t *numbers, uint32_t root, uint32_t count)
{
    uint32_t value = numbers[root];
    for (;;) {
        uint32_t child = 2 * root + 1;
        if (child >= count)
            break;
        if (child + 1 < count && numbers[child + 1] > numbers[child])
            child++;
        if (numbers[child] <= value)
            break;
        numbers[root] = numbers[child];
        root = child;
    }
    numbers[root] = value;
}

static uint64_t run(uint32_t repeats)
{
    uint64_t checksum = MIX_START, state = 4;
    while (repeats--) {
        for (uint32_t i = 0; i < COUNT; i++)
            heap[i] = (uint32_t)random64(&state);
        for (uint32_t i = COUNT / 2; i-- > 0;)
            sink(heap, i, COUNT);
        for (uint32_t last = COUNT - 1; last > 0; last--) {
            uint32_t largest = heap[0];
            heap[0] = heap[last];
            heap[last] = largest;
            sink(heap, 0, last);
        }
        for (uint32_t i = 0; i < COUNT; i += 64)
            checksum = mix(checksum, heap[i]);
    }
    return checksum;
}

const struct kernel heapsort = {"heapsort", setup, run};

/* Fibonacci numbers by calls that are real ones: a call, a return and a frame each. */
#include "../kernels.h"

enum { N = 22 };

static void setup(void)
{
}

__attribute__((noinline, noclone)) static uint64_t fibonacci(uint64_t n)
{
    if (n < 2)
        return n;
    uint64_t one = fibonacci(n - 1);
    /* Neither is the second call made a loop, nor the first one inlined. */
    OPAQUE(one);
    uint64_t other = fibonacci(n - 2);
    OPAQUE(other);
    return one + other;
}

static uint64_t run(uint32_t repeats)
{
    uint64_t total = 0;
    while (repeats--)
        total = mix(total, fibonacci(N + repeats % 2));
    return total;
}

const struct kernel fib = {"fib", setup, run};

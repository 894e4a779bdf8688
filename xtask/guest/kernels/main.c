/* Runs kernels and says how long each took.
 *
 *     kernels NAME:REPEATS...        such as  kernels crc:10 fib:3
 *
 * As the first process of a guest it powers the machine off at the end. */
#include "kernels.h"
#include "../linux/linux.h"

static const struct kernel *const all[] = {
    &sum, &copy, &crc, &heapsort, &sha256, &mpi, &fib, &vm, &list, &bytes,
    &matmul, &matmulf, &nbody, &fft, &fftf, &memcopy, &strlength,
};

/* Whether it asks for a kernel. Linux hands down options that it does not know itself. */
static int is_request(const char *text)
{
    for (; *text; text++)
        if (*text == ':')
            return 1;
    return 0;
}

/* The kernel whose name is `text` up to a colon. */
static const struct kernel *named(const char *text, uint32_t *repeats)
{
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const char *name = all[i]->name, *at = text;
        while (*name && *name == *at)
            name++, at++;
        if (*name || *at != ':')
            continue;
        *repeats = 0;
        for (at++; *at >= '0' && *at <= '9'; at++)
            *repeats = *repeats * 10 + (uint32_t)(*at - '0');
        return all[i];
    }
    return 0;
}

static void time_kernel(const struct kernel *kernel, uint32_t repeats)
{
    kernel->setup();
    write_text("bench: start ");
    write_text(kernel->name);
    write_text("\n");
    drain();
    uint64_t from = nanoseconds(), from_ticks = ticks();
    uint64_t checksum = kernel->run(repeats);
    uint64_t took_ticks = ticks() - from_ticks, took = nanoseconds() - from;
    write_text("bench: done ");
    write_text(kernel->name);
    write_field("repeats", repeats, 10);
    write_field("checksum", checksum, 16);
    write_field("ns", took, 10);
    write_field("ticks", took_ticks, 10);
    write_text("\n");
}

_Noreturn void start(uint64_t *stack)
{
    uint64_t count = stack[0];
    char **arguments = (char **)(stack + 1);
    int unknown = 0;
    for (uint64_t i = 1; i < count; i++) {
        uint32_t repeats;
        const struct kernel *kernel = named(arguments[i], &repeats);
        if (kernel) {
            time_kernel(kernel, repeats);
        } else if (is_request(arguments[i])) {
            write_text("bench: no kernel ");
            write_text(arguments[i]);
            write_text("\n");
            unknown = 1;
        }
    }
    write_text("bench: end\n");
    drain();
    if (is_first_process()) {
        /* Whoever listens still wants to look at the emulator's process. */
        sleep_milliseconds(200);
        power_off();
    }
    leave(unknown);
}

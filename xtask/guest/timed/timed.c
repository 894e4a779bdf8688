/* Runs a program and says how long it took and a checksum of what it wrote to its standard output.
 *
 *     timed NAME /PATH/OF/PROGRAM ARGUMENT... */
#include "../linux/linux.h"

static uint8_t buffer[65536];

/* FNV-1a of what comes out of `file` until its end. */
static uint64_t checksum_of(int file)
{
    uint64_t checksum = 0xcbf29ce484222325;
    long got;
    while ((got = read_file(file, buffer, sizeof buffer)) > 0)
        for (long i = 0; i < got; i++)
            checksum = (checksum ^ buffer[i]) * 0x100000001b3;
    return checksum;
}

static _Noreturn void fail(const char *what)
{
    write_text("bench: failed to ");
    write_text(what);
    write_text("\n");
    leave(1);
}

_Noreturn void start(uint64_t *stack)
{
    uint64_t count = stack[0];
    char **arguments = (char **)(stack + 1), **environment = arguments + count + 1;
    int ends[2];
    if (count < 3)
        fail("find a name and a program");
    if (open_pipe(ends) < 0)
        fail("open a pipe");
    write_text("bench: start ");
    write_text(arguments[1]);
    write_text("\n");
    drain();
    uint64_t from = nanoseconds();
    long process = fork_process();
    if (process < 0)
        fail("fork");
    if (process == 0) {
        duplicate(ends[1], 1);
        close_file(ends[0]);
        close_file(ends[1]);
        execute(arguments + 2, environment);
        leave(127);
    }
    close_file(ends[1]);
    uint64_t checksum = checksum_of(ends[0]);
    long status = wait_for(process);
    uint64_t took = nanoseconds() - from;
    write_text("bench: done ");
    write_text(arguments[1]);
    write_field("status", (uint64_t)status, 10);
    write_field("checksum", checksum, 16);
    write_field("ns", took, 10);
    write_text("\n");
    drain();
    leave(status != 0);
}

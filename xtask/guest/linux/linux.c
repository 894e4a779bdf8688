/* The few system calls of Linux that our programs need (Linux include/uapi/asm-generic/unistd.h). */
#include "linux.h"

enum {
    DUP3 = 24,
    IOCTL = 29,
    CLOSE = 57,
    PIPE2 = 59,
    READ = 63,
    WRITE = 64,
    EXIT = 93,
    NANOSLEEP = 101,
    CLOCK_GETTIME = 113,
    REBOOT = 142,
    GETPID = 172,
    SOCKET = 198,
    CONNECT = 203,
    SHUTDOWN = 210,
    CLONE = 220,
    EXECVE = 221,
    WAIT4 = 260,
};

static long system_call(long number, long a, long b, long c, long d)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    /* The fifth and the last that any of these calls has. */
    register long x4 __asm__("x4") = 0;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory", "cc");
    return x0;
}

void write_text(const char *text)
{
    long length = 0;
    while (text[length])
        length++;
    while (length > 0) {
        long written = system_call(WRITE, 1, (long)text, length, 0);
        if (written <= 0)
            return;
        text += written;
        length -= written;
    }
}

void write_field(const char *name, uint64_t value, unsigned base)
{
    char digits[24];
    char *at = digits + sizeof digits;
    *--at = 0;
    do {
        *--at = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    write_text(" ");
    write_text(name);
    write_text(base == 16 ? "=0x" : "=");
    write_text(at);
}

long open_pipe(int ends[2])
{
    return system_call(PIPE2, (long)ends, 0, 0, 0);
}

long duplicate(int from, int to)
{
    return system_call(DUP3, from, to, 0, 0);
}

void close_file(int file)
{
    system_call(CLOSE, file, 0, 0, 0);
}

long read_file(int file, void *to, size_t length)
{
    return system_call(READ, file, (long)to, (long)length, 0);
}

long write_file(int file, const void *from, size_t length)
{
    return system_call(WRITE, file, (long)from, (long)length, 0);
}

long open_stream_to(uint32_t address, uint16_t port)
{
    const long inet = 2, stream = 1;
    const struct {
        uint16_t family, port;
        uint32_t address;
        uint64_t zero;
    } to = {(uint16_t)inet, __builtin_bswap16(port), __builtin_bswap32(address), 0};
    long socket = system_call(SOCKET, inet, stream, 0, 0);
    if (socket < 0)
        return socket;
    long connected = system_call(CONNECT, socket, (long)&to, sizeof to, 0);
    return connected < 0 ? connected : socket;
}

void end_sending(int socket)
{
    const long sending = 1;
    system_call(SHUTDOWN, socket, sending, 0, 0);
}

long fork_process(void)
{
    const long sigchld = 17;
    return system_call(CLONE, sigchld, 0, 0, 0);
}

long execute(char **arguments, char **environment)
{
    return system_call(EXECVE, (long)arguments[0], (long)arguments, (long)environment, 0);
}

long wait_for(long process)
{
    int status = 0;
    long waited = system_call(WAIT4, process, (long)&status, 0, 0);
    return waited < 0 ? waited : status;
}

void drain(void)
{
    const long tcsbrk = 0x5409;
    /* Fails on what is no terminal, where there is nothing to wait for. */
    system_call(IOCTL, 1, tcsbrk, 1, 0);
}

uint64_t nanoseconds(void)
{
    const long monotonic = 1;
    int64_t now[2] = {0, 0};
    system_call(CLOCK_GETTIME, monotonic, (long)now, 0, 0);
    return (uint64_t)now[0] * 1000000000 + (uint64_t)now[1];
}

void sleep_milliseconds(uint64_t time)
{
    const int64_t wanted[2] = {(int64_t)(time / 1000), (int64_t)(time % 1000 * 1000000)};
    system_call(NANOSLEEP, (long)wanted, 0, 0, 0);
}

uint64_t ticks(void)
{
    uint64_t value;
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(value) : : "memory");
    return value;
}

int is_first_process(void)
{
    return system_call(GETPID, 0, 0, 0, 0) == 1;
}

_Noreturn void power_off(void)
{
    const long magic1 = 0xfee1dead, magic2 = 672274793, off = 0x4321fedc;
    system_call(REBOOT, magic1, magic2, off, 0);
    leave(1);
}

_Noreturn void leave(int status)
{
    for (;;)
        system_call(EXIT, status, 0, 0, 0);
}

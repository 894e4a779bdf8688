/* Sends to the host or receives from it, in blocks as large as iperf3's.
 *
 *     stream up|down PORT MEBIBYTES
 *
 * The host's server hangs up when it has all, or has sent all. */
#include "../linux/linux.h"

static uint8_t block[128 << 10];

static const uint32_t host = 192u << 24 | 168u << 16 | 64u << 8 | 1;

static uint64_t number(const char *digits)
{
    uint64_t value = 0;
    while (*digits)
        value = value * 10 + (uint64_t)(*digits++ - '0');
    return value;
}

static int send_all(int socket, uint64_t left)
{
    while (left > 0) {
        long sent = write_file(socket, block, left < sizeof block ? left : sizeof block);
        if (sent <= 0)
            return 1;
        left -= (uint64_t)sent;
    }
    end_sending(socket);
    return read_file(socket, block, sizeof block) != 0;
}

static int receive_all(int socket, uint64_t left)
{
    long got;
    while ((got = read_file(socket, block, sizeof block)) > 0)
        left -= (uint64_t)got;
    return got < 0 || left != 0;
}

_Noreturn void start(uint64_t *stack)
{
    char **arguments = (char **)(stack + 1);
    if (stack[0] != 4)
        leave(2);
    long socket = open_stream_to(host, (uint16_t)number(arguments[2]));
    if (socket < 0)
        leave(3);
    uint64_t bytes = number(arguments[3]) << 20;
    leave(arguments[1][0] == 'u' ? send_all((int)socket, bytes) : receive_all((int)socket, bytes));
}

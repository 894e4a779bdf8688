/* What our programs for the guest need of Linux: there is no C library. A program's first function of its own is
 * `start`. */
#ifndef LINUX_H
#define LINUX_H

#include <stddef.h>
#include <stdint.h>

/* `stack` holds the number of arguments, the arguments, a null and the environment. */
_Noreturn void start(uint64_t *stack);

/* On failure the system call's negative error number, as of each function here that returns a long. */
long open_pipe(int ends[2]);
long duplicate(int from, int to);
void close_file(int file);
long read_file(int file, void *to, size_t length);
long write_file(int file, const void *from, size_t length);
/* A TCP connection to an IPv4 address and a port. */
long open_stream_to(uint32_t address, uint16_t port);
/* There is no more to come from this side. */
void end_sending(int socket);
long fork_process(void);
long execute(char **arguments, char **environment);
/* Waits for the end of `process`, and returns its status as wait4 gives it. */
long wait_for(long process);

void write_text(const char *text);
/* " NAME=VALUE", in hexadecimal with 0x if `base` is 16. */
void write_field(const char *name, uint64_t value, unsigned base);
/* Waits until the console has sent what was written. */
void drain(void);
/* CLOCK_MONOTONIC. */
uint64_t nanoseconds(void);
/* The virtual counter. */
uint64_t ticks(void);
int is_first_process(void);
void sleep_milliseconds(uint64_t time);
_Noreturn void power_off(void);
_Noreturn void leave(int status);

#endif

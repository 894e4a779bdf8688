/* The few system calls of Linux that the program needs. */
#ifndef LINUX_H
#define LINUX_H

#include <stddef.h>
#include <stdint.h>

void write_text(const char *text);
/* Waits until the console has sent what was written. */
void drain(void);
/* CLOCK_MONOTONIC. */
uint64_t nanoseconds(void);
/* The virtual counter. */
uint64_t ticks(void);
int is_first_process(void);
_Noreturn void power_off(void);
_Noreturn void leave(int status);

#endif

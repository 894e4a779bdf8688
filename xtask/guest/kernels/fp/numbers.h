/* Floating-point numbers for kernels to begin with, and checksums of what comes out. */
#ifndef NUMBERS_H
#define NUMBERS_H

#include "../kernels.h"

/* From -1 up to 1. */
static inline double random_double(uint64_t *state)
{
    return (double)(int64_t)random64(state) * 0x1p-63;
}

static inline uint64_t mix_double(uint64_t hash, double value)
{
    union {
        double number;
        uint64_t bits;
    } u = {value};
    return mix(hash, u.bits);
}

/* The sine of an angle between -pi and pi, by its series. */
static inline double sine(double angle)
{
    double term = angle, total = angle;
    for (int n = 1; n < 16; n++) {
        term *= -angle * angle / (2 * n * (2 * n + 1));
        total += term;
    }
    return total;
}

#define PI 3.14159265358979323846

#endif

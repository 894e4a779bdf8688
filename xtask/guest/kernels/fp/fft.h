/* The fast Fourier transform of complex REALs, in place, radix 2, forward and back. */
#include "numbers.h"

enum { SIZE = 1024 };
struct complex {
    REAL re, im;
};
static struct complex values[SIZE], roots[SIZE / 2];

static void setup(void)
{
    uint64_t state = 10;
    for (int i = 0; i < SIZE; i++)
        values[i] = (struct complex){(REAL)random_double(&state), (REAL)random_double(&state)};
    for (int i = 0; i < SIZE / 2; i++) {
        double angle = -2 * PI * i / SIZE;
        /* The cosine is the sine of what is a quarter turn ahead, which stays within -pi and pi. */
        roots[i] = (struct complex){(REAL)sine(angle + PI / 2), (REAL)sine(angle)};
    }
}

static void exchange(struct complex *v)
{
    for (int i = 1, j = 0; i < SIZE; i++) {
        int bit = SIZE / 2;
        for (; j & bit; bit /= 2)
            j ^= bit;
        j ^= bit;
        if (i < j) {
            struct complex kept = v[i];
            v[i] = v[j];
            v[j] = kept;
        }
    }
}

/* `sign` is 1 for forward and -1 for back. */
static void transform(struct complex *v, REAL sign)
{
    exchange(v);
    for (int half = 1; half < SIZE; half *= 2) {
        for (int first = 0; first < SIZE; first += 2 * half) {
            for (int k = 0; k < half; k++) {
                struct complex root = roots[k * (SIZE / 2 / half)];
                struct complex *low = &v[first + k], *high = low + half;
                REAL im = sign * root.im;
                REAL re_turned = high->re * root.re - high->im * im;
                REAL im_turned = high->re * im + high->im * root.re;
                high->re = low->re - re_turned;
                high->im = low->im - im_turned;
                low->re += re_turned;
                low->im += im_turned;
            }
        }
    }
}

static uint64_t run(uint32_t repeats)
{
    while (repeats--) {
        struct complex *v = values;
        OPAQUE(v);
        transform(v, 1);
        transform(v, -1);
        for (int i = 0; i < SIZE; i++) {
            v[i].re *= (REAL)1 / SIZE;
            v[i].im *= (REAL)1 / SIZE;
        }
    }
    uint64_t checksum = MIX_START;
    for (int i = 0; i < SIZE; i++)
        checksum = mix_double(mix_double(checksum, (double)values[i].re), (double)values[i].im);
    return checksum;
}

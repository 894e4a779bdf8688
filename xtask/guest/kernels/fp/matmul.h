/* Multiplies two square matrices of REAL, SIZE by SIZE, row by row; the compiler makes vectors of it, or not. */
#include "numbers.h"

static REAL a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];

static void setup(void)
{
    uint64_t state = 8;
    for (int i = 0; i < SIZE; i++) {
        for (int j = 0; j < SIZE; j++) {
            a[i][j] = (REAL)random_double(&state);
            b[i][j] = (REAL)random_double(&state);
        }
    }
}

static uint64_t run(uint32_t repeats)
{
    while (repeats--) {
        for (int i = 0; i < SIZE; i++) {
            for (int j = 0; j < SIZE; j++)
                c[i][j] = 0;
            for (int k = 0; k < SIZE; k++) {
                REAL factor = a[i][k];
                for (int j = 0; j < SIZE; j++)
                    c[i][j] += factor * b[k][j];
            }
        }
        a[repeats % SIZE][repeats / SIZE % SIZE] += (REAL)0.5 / ((REAL)1 + c[0][0] * c[0][0]);
    }
    uint64_t checksum = MIX_START;
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++)
            checksum = mix_double(checksum, (double)c[i][j]);
    return checksum;
}

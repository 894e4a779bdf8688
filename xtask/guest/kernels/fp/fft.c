/* The fast Fourier transform in double precision. */
#define REAL double
#include "fft.h"

const struct kernel fft = {"fft", setup, run};

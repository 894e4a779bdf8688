/* The fast Fourier transform in single precision. */
#define REAL float
#include "fft.h"

const struct kernel fftf = {"fftf", setup, run};

/* Matrix multiplication in single precision, made vectors by the compiler. */
#define REAL float
#define SIZE 96
#include "matmul.h"

const struct kernel matmulf = {"matmulf", setup, run};

/* Matrix multiplication in double precision, one number at a time. */
#define REAL double
#define SIZE 64
#pragma GCC optimize("no-tree-vectorize")
#include "matmul.h"

const struct kernel matmul = {"matmul", setup, run};

/* Stand-in for the header of macOS: what the C parts of our libraries take from it. */
#pragma once

#include <stddef.h>

_Noreturn void abort(void);

/* Stand-in for the header of macOS: an assertion that does not hold ends the program. It may be included again. */
#include <stdlib.h>

#undef assert
#ifdef NDEBUG
#define assert(condition) ((void)0)
#else
#define assert(condition) ((condition) ? (void)0 : abort())
#endif

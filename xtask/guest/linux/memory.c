/* What the compiler calls for structures that it copies or clears. */
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t length)
{
    char *t = to;
    const char *f = from;
    while (length--)
        *t++ = *f++;
    return to;
}

void *memset(void *to, int value, size_t length)
{
    char *t = to;
    while (length--)
        *t++ = (char)value;
    return to;
}

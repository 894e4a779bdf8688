/* Counts words, numbers, lines and other things in a text: branches on bytes. */
#include "../kernels.h"

enum { LENGTH = 16384 };
static const char sample[] =
    "The quick brown fox jumps over 13 lazy dogs, twice; then it rests.\n"
    "On 24 May 1844 \"What hath God wrought\" went from Washington to Baltimore (60 km).\n"
    "{ \"name\": \"value\", \"list\": [1, 22, 333, -4e5], \"nothing\": null }\n\n"
    "\tfor (int i = 0; i < 10; i++) { total += numbers[i] * 0x1F; }\n";
static char text[LENGTH];

static void setup(void)
{
    for (int i = 0; i < LENGTH; i++)
        text[i] = sample[(size_t)i % (sizeof sample - 1)];
}

static uint64_t run(uint32_t repeats)
{
    uint64_t words = 0, numbers = 0, lines = 0, capitals = 0, brackets = 0, others = 0, digits = 0;
    while (repeats--) {
        const char *at = text;
        int in_word = 0, in_number = 0;
        OPAQUE(at);
        for (int i = 0; i < LENGTH; i++) {
            char c = at[i];
            if (c >= 'a' && c <= 'z') {
                if (!in_word) {
                    words++;
                    in_word = 1;
                }
                continue;
            }
            if (c >= 'A' && c <= 'Z') {
                capitals++;
                if (!in_word) {
                    words++;
                    in_word = 1;
                }
                continue;
            }
            in_word = 0;
            if (c >= '0' && c <= '9') {
                digits = digits * 10 + (uint64_t)(c - '0');
                if (!in_number)
                    numbers++;
                in_number = 1;
                continue;
            }
            in_number = 0;
            if (c == '\n')
                lines++;
            else if (c == '(' || c == '[' || c == '{')
                brackets++;
            else if (c != ' ' && c != '\t')
                others++;
        }
    }
    uint64_t checksum = MIX_START;
    const uint64_t counts[] = {words, numbers, lines, capitals, brackets, others, digits};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        checksum = mix(checksum, counts[i]);
    return checksum;
}

const struct kernel bytes = {"bytes", setup, run};

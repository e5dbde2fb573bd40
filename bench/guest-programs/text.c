// text BYTES: so many bytes of words and numbers that compress about as a log does; the same bytes each time.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int main(int count, char **words)
{
    static const char *const vocabulary[] = {
        "the ", "kernel ", "page ", "at ", "address ", "interrupt ", "of ", "timer ", "was ", "not ", "memory ", "device ", "found ",
        "and ", "queue ", "is ", "full\n", "ready\n", "error ", "0x",
    };
    enum { known = sizeof vocabulary / sizeof *vocabulary };
    long bytes = count > 1 ? atol(words[1]) : 0;
    uint32_t random = 1;
    for (long done = 0; done < bytes;) {
        random = random * 1664525 + 1013904223;
        done += printf("%s", vocabulary[(random >> 16) % known]);
        if ((random >> 29) == 0)
            done += printf("%x ", random >> 8);
    }
    return fflush(stdout) != 0;
}

// copy ROUNDS: the C library's memcpy: in each round 8 MiB in pieces of 64 bytes, of 4 KiB and of 1 MiB.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { size = 1 << 20 };

static unsigned char source[size], destination[size];

int main(int count, char **words)
{
    static const size_t pieces[] = {64, 4096, size};
    long rounds = count > 1 ? atol(words[1]) : 1;
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++)
        source[i] = (unsigned char)(i * 131 >> 3);
    for (long round = 0; round < rounds; round++)
        for (size_t kind = 0; kind < sizeof pieces / sizeof *pieces; kind++) {
            // Not a constant to the compiler, or it would not call.
            volatile size_t piece = pieces[kind];
            for (size_t done = 0; done < 8u << 20; done += piece)
                memcpy(destination + done % size, source + done % size, piece);
            source[round % size]++;
            sum = sum * 31 + destination[(size_t)round * 4099 % size];
        }
    printf("%016llx %d\n", (unsigned long long)sum, memcmp(source, destination, 1));
    return 0;
}

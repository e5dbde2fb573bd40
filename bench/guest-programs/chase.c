// chase STEPS: follows pointers through 8 MiB in an order without a pattern: each step needs the one before, and nearly
// each is in another page, of 2048, which is more than many a software TLB holds. Four lines of a page are used, 512 KiB
// in all: they stay in a host's cache, so that it is not the host's memory that is measured.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { lines = 1 << 13, lines_apart = 1 << 10, line_bytes = 64 };

struct line {
    struct line *next;
    uint64_t number;
};

static _Alignas(4096) unsigned char memory[lines * lines_apart];
static uint32_t order[lines];

// Spread over the places a line can have, as the cache's sets want it.
static struct line *line(uint32_t number)
{
    return (struct line *)(void *)(memory + number * lines_apart + (number * 7 % (lines_apart / line_bytes)) * line_bytes);
}

int main(int count, char **words)
{
    long steps = count > 1 ? atol(words[1]) : 1;
    uint32_t random = 1;
    for (uint32_t i = 0; i < lines; i++)
        order[i] = i;
    // Sattolo's shuffle: one cycle through all of them.
    for (uint32_t i = lines - 1; i > 0; i--) {
        random = random * 1664525 + 1013904223;
        uint32_t other = (uint32_t)(((uint64_t)random * i) >> 32), kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
    for (uint32_t i = 0; i < lines; i++) {
        line(order[i])->next = line(order[(i + 1) % lines]);
        line(i)->number = i;
    }
    struct line *at = line(0);
    uint64_t sum = 0;
    for (long i = 0; i < steps; i++) {
        sum += at->number;
        at = at->next;
    }
    printf("%016llx\n", (unsigned long long)sum);
    return 0;
}

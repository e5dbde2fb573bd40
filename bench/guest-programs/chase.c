// chase STEPS: follows pointers through 8 MiB in an order without a pattern, so each step needs the one before, and
// nearly each is in another page: 2048 of them, more than a software TLB holds.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { lines = 1 << 17 };

struct line {
    struct line *next;
    uint64_t number, rest[6];
};

static struct line memory[lines];
static uint32_t order[lines];

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
        memory[order[i]].next = &memory[order[(i + 1) % lines]];
        memory[i].number = i;
    }
    struct line *at = &memory[0];
    uint64_t sum = 0;
    for (long i = 0; i < steps; i++) {
        sum += at->number;
        at = at->next;
    }
    printf("%016llx\n", (unsigned long long)sum);
    return 0;
}

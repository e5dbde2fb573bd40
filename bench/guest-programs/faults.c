// faults ROUNDS: maps 16 MiB, writes a word in each page, which is a page fault each, and unmaps them.
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { size = 16 << 20, page = 4096 };

int main(int count, char **words)
{
    long rounds = count > 1 ? atol(words[1]) : 1, sum = 0;
    for (long i = 0; i < rounds; i++) {
        char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            return 1;
        // One page a fault, whatever the kernel's policy on huge pages.
        madvise(memory, size, MADV_NOHUGEPAGE);
        for (long at = 0; at < size; at += page) {
            sum += memory[at] == 0;
            memory[at] = 1;
        }
        munmap(memory, size);
    }
    printf("%ld\n", sum);
    return sum != rounds * (size / page);
}

// touch MIB: writes into each page of so much memory and holds it while "touch" runs to its end.
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

int main(int count, char **words)
{
    size_t size = (size_t)(count > 1 ? atol(words[1]) : 1) << 20;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 1;
    for (size_t at = 0; at < size; at += 4096)
        memory[at] = (char)(at >> 12) | 1;
    printf("%zu\n", size);
    return 0;
}

// syscalls COUNT: the cheapest system call there is, over and over.
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int count, char **words)
{
    long rounds = count > 1 ? atol(words[1]) : 1, sum = 0;
    for (long i = 0; i < rounds; i++)
        sum += syscall(SYS_getppid) > 0;
    printf("%ld\n", sum);
    return sum != rounds;
}

// calls N: the Nth Fibonacci number by two calls each, a few instructions apart.
#include <stdio.h>
#include <stdlib.h>

// Neither inlined nor turned into a loop: the calls are what is measured.
__attribute__((noinline, noclone, optimize("no-optimize-sibling-calls"))) static long fib(long n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

int main(int count, char **words)
{
    printf("%ld\n", fib(count > 1 ? atol(words[1]) : 1));
    return 0;
}

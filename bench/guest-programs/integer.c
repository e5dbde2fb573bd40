// integer ROUNDS: counts the lattice points of a quarter circle: multiplications, additions, comparisons, a branch that
// is mostly foreseen; no memory but the code's.
#include <stdio.h>
#include <stdlib.h>

enum { size = 1024 };

int main(int count, char **words)
{
    long rounds = count > 1 ? atol(words[1]) : 1, sum = 0;
    for (long round = 0; round < rounds; round++) {
        long limit = (size - round % 16) * (long)size, inside = 0;
        for (long y = 0; y < size; y++)
            for (long x = 0; x < size; x++) {
                long distance = x * x + y * y;
                if (distance <= limit)
                    inside++;
                else
                    sum += distance & 7;
            }
        sum ^= inside << 20;
    }
    printf("%lx\n", sum);
    return 0;
}

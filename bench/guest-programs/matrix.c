// matrix ROUNDS: products of two matrices of 128 by 128 doubles, each fed into the next.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { size = 128 };

static double left[size][size], right[size][size], product[size][size];

int main(int count, char **words)
{
    long rounds = count > 1 ? atol(words[1]) : 1;
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++) {
            left[i][j] = 1.0 / (1 + i + j);
            right[i][j] = (i * 7 + j * 3) % 11 - 5;
        }
    for (long round = 0; round < rounds; round++) {
        for (int i = 0; i < size; i++)
            for (int j = 0; j < size; j++)
                product[i][j] = 0;
        for (int i = 0; i < size; i++)
            for (int k = 0; k < size; k++)
                for (int j = 0; j < size; j++)
                    product[i][j] += left[i][k] * right[k][j];
        // The largest becomes 1, so that the numbers neither grow nor fade.
        double most = 0;
        for (int i = 0; i < size; i++)
            for (int j = 0; j < size; j++)
                most = fabs(product[i][j]) > most ? fabs(product[i][j]) : most;
        for (int i = 0; i < size; i++)
            for (int j = 0; j < size; j++)
                left[i][j] = product[i][j] / most;
    }
    double sum = 0;
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++)
            sum += left[i][j] * (1 + i);
    printf("%.17g\n", sum);
    return 0;
}

// pingpong ROUNDS: two processes hand a byte to each other through two pipes; each round switches tasks twice.
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **words)
{
    long rounds = count > 1 ? atol(words[1]) : 1, sum = 0;
    int there[2], back[2];
    unsigned char ball;
    if (pipe(there) != 0 || pipe(back) != 0)
        return 1;
    pid_t child = fork();
    if (child < 0)
        return 1;
    if (child == 0) {
        close(there[1]);
        while (read(there[0], &ball, 1) == 1) {
            ball++;
            if (write(back[1], &ball, 1) != 1)
                _exit(1);
        }
        _exit(0);
    }
    close(there[0]);
    for (long i = 0; i < rounds; i++) {
        ball = (unsigned char)i;
        if (write(there[1], &ball, 1) != 1 || read(back[0], &ball, 1) != 1)
            return 1;
        sum += ball == (unsigned char)(i + 1);
    }
    close(there[1]);
    waitpid(child, NULL, 0);
    printf("%ld\n", sum);
    return sum != rounds;
}

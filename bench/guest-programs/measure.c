// measure NAME PROGRAM [ARGUMENT...]
// Runs the program and says on port E9h when it begins and when it has ended: "begin NAME", then "end NAME STATUS RESULT",
// a line each. The status is the program's exit code, or 128 and the signal; the result is the first line it printed.
// Times are taken by who listens to the port: a guest's own clock says nothing of how fast it is executed.
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/io.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *text)
{
    for (; *text != '\0'; text++)
        outb((unsigned char)*text, 0xE9);
}

static int failed(const char *what)
{
    perror(what);
    return 125;
}

// With the pipe's write end for standard output. -1 when there is no such program.
static pid_t start(char **words, const int *channel)
{
    posix_spawn_file_actions_t actions;
    pid_t child;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, channel[1], 1);
    posix_spawn_file_actions_addclose(&actions, channel[0]);
    posix_spawn_file_actions_addclose(&actions, channel[1]);
    int problem = posix_spawn(&child, words[0], &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    return problem == 0 ? child : -1;
}

int main(int count, char **words)
{
    char result[160], line[400], rest[4096];
    int channel[2], status;
    size_t length = 0;
    ssize_t got;

    if (count < 3)
        return 125;
    if (ioperm(0xE9, 1, 1) != 0)
        return failed("ioperm");
    if (pipe(channel) != 0)
        return failed("pipe");
    snprintf(line, sizeof line, "begin %s\n", words[1]);
    say(line);
    pid_t child = start(words + 2, channel);
    close(channel[1]);
    // All of it is read, or the program would wait for ever; only the beginning is kept.
    while ((got = read(channel[0], rest, sizeof rest)) > 0) {
        size_t room = sizeof result - 1 - length, kept = (size_t)got < room ? (size_t)got : room;
        memcpy(result + length, rest, kept);
        length += kept;
    }
    result[length] = '\0';
    result[strcspn(result, "\r\n\t")] = '\0';
    if (child < 0)
        status = 127 << 8;
    else if (waitpid(child, &status, 0) != child)
        return failed("waitpid");
    int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    snprintf(line, sizeof line, "end %s %d %s\n", words[1], code, result);
    say(line);
    return 0;
}

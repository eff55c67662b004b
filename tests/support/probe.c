/* What a program under test may do to a device: `probe MODE [ARGUMENT]`. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

static void note_pid(void) {
    FILE *file = fopen("pids", "a");
    fprintf(file, "%d\n", (int)getpid());
    fclose(file);
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    long number = argc > 2 ? atol(argv[2]) : 0;
    if (!strcmp(mode, "arguments")) {
        for (int i = 0; i < argc; i++) puts(argv[i]);
    } else if (!strcmp(mode, "environment")) {
        for (char **e = environ; *e; e++) puts(*e);
    } else if (!strcmp(mode, "exit")) {
        fputs("leaving\n", stderr);
        return (int)number;
    } else if (!strcmp(mode, "raise")) {
        raise((int)number);
    } else if (!strcmp(mode, "crash")) {
        *(volatile int *)8 = 1;
    } else if (!strcmp(mode, "flood")) {
        static char block[1 << 16];
        memset(block, 'x', sizeof block);
        for (long i = 0; i < number; i++) {
            fwrite(block, 1, sizeof block, stdout);
            fwrite(block, 1, sizeof block, stderr);
        }
    } else if (!strcmp(mode, "stubborn")) { /* a parent and a child that no polite signal ends */
        signal(SIGTERM, SIG_IGN);
        signal(SIGINT, SIG_IGN);
        fork();
        note_pid();
        for (;;) sleep(60);
    } else if (!strcmp(mode, "orphan")) { /* a child that holds the output open after its parent's end */
        if (fork() == 0) {
            note_pid();
            for (;;) sleep(60);
        }
        puts("parent ends");
    } else if (!strcmp(mode, "hog")) { /* takes and uses all the memory there is */
        for (;;) {
            volatile char *page = malloc(1 << 12);
            *page = 1;
        }
    } else if (!strcmp(mode, "nap")) {
        sleep((unsigned)number);
#if defined __aarch64__
    } else if (!strcmp(mode, "dotprod")) { /* sdot v0.4s, v1.16b, v2.16b: from ARMv8.2 on */
        __asm__ volatile(".inst 0x4e829420" ::: "v0");
#endif
    } else if (!strcmp(mode, "drip")) { /* alive, but only just */
        for (;;) {
            write(1, ".", 1);
            sleep(1);
        }
    } else if (!strcmp(mode, "addresses")) { /* what it executes depends on where its memory lies */
        volatile unsigned sum = 0;
        for (size_t i = 0; i < ((size_t)malloc(1 << 20) >> 20) % 1024; i++) sum += (unsigned)i;
    } else if (!strcmp(mode, "marks")) { /* three of the instruction counter's: two in a row, and one after work */
        volatile unsigned sum = 0;
        for (int i = 0; i < 2; i++) syscall(SYS_getppid, 0x51424d4b);
        for (long i = 0; i < number; i++) sum += (unsigned)i;
        syscall(SYS_getppid, 0x51424d4b);
    } else if (!strcmp(mode, "work")) {
        volatile unsigned sum = 0;
        for (long i = 0; i < number; i++) sum += (unsigned)i;
    } else {
        return 64;
    }
    return 0;
}

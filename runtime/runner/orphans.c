#define _GNU_SOURCE

#include "orphans.h"

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether the process's working folder is this one. */
static bool is_here(const char *process)
{
    char path[64];
    struct stat here, there;
    snprintf(path, sizeof path, "/proc/%.20s/cwd", process);
    return stat(".", &here) == 0 && stat(path, &there) == 0 && here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

/* Whether the process was started with QB_LEASE, which stands early in an environment that holds little else. */
static bool is_leased(const char *process)
{
    char path[64], environment[4096];
    snprintf(path, sizeof path, "/proc/%.20s/environ", process);
    FILE *stream = fopen(path, "rb");
    if (stream == NULL) return false;
    const size_t length = fread(environment, 1, sizeof environment - 1, stream);
    fclose(stream);
    environment[length] = 0;
    for (size_t at = 0; at < length; at += strlen(environment + at) + 1) {
        if (strncmp(environment + at, "QB_LEASE=", 9) == 0) return true;
    }
    return false;
}

void kill_orphans(void)
{
    DIR *processes = opendir("/proc");
    if (processes == NULL) return;
    for (const struct dirent *entry = readdir(processes); entry != NULL; entry = readdir(processes)) {
        const int id = atoi(entry->d_name);
        if (id <= 0 || id == getpid()) continue;
        if (is_here(entry->d_name) && is_leased(entry->d_name)) kill(id, SIGKILL);
    }
    closedir(processes);
}

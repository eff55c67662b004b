/* lease: grants, renews and ends the use of this device. */
#define _GNU_SOURCE

#include "lease.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "json.h"
#include "orphans.h"
#include "runner.h"

enum { TOKEN_SIZE = 65, BOOT_SIZE = 64, HOLDER_SIZE = 128, FILE_SIZE = 1024 };

/* One line of the file; an empty token: nobody. */
typedef struct grant {
    char token[TOKEN_SIZE], boot[BOOT_SIZE], holder[HOLDER_SIZE];
    uint64_t expires_ns;
} grant;

typedef struct lease_file {
    int descriptor;
    const char *path;
    grant leased, reserved;
} lease_file;

static uint64_t boottime_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* This boot's id, or "-" where the system does not tell. */
static void read_boot_id(char *id)
{
    strcpy(id, "-");
    FILE *stream = fopen("/proc/sys/kernel/random/boot_id", "r");
    if (stream == NULL) return;
    char text[BOOT_SIZE];
    if (fscanf(stream, "%63s", text) == 1) strcpy(id, text);
    fclose(stream);
}

static bool in_force(const grant *grant)
{
    char boot[BOOT_SIZE];
    read_boot_id(boot);
    return grant->token[0] != 0 && strcmp(grant->boot, boot) == 0 && boottime_ns() < grant->expires_ns;
}

static bool is(const grant *grant, const char *token)
{
    return grant->token[0] != 0 && token != NULL && strcmp(grant->token, token) == 0;
}

static void parse_line(lease_file *file, char *line)
{
    grant found = {0};
    char kind[16];
    unsigned long long expires;
    if (sscanf(line, "%15s %64s %llu %63s %127[^\n]", kind, found.token, &expires, found.boot,
               found.holder) != 5) {
        return;
    }
    found.expires_ns = expires;
    if (strcmp(kind, "leased") == 0) file->leased = found;
    if (strcmp(kind, "reserved") == 0) file->reserved = found;
}

/* Opens the file and waits for its lock, which ends with the process. */
static lease_file open_locked(const char *path, int flags)
{
    lease_file file = {.path = path, .descriptor = open(path, flags | O_CLOEXEC, 0666)};
    if (file.descriptor < 0 || flock(file.descriptor, LOCK_EX) != 0) fail("%s: %s", path, strerror(errno));
    char text[FILE_SIZE + 1];
    const ssize_t length = pread(file.descriptor, text, FILE_SIZE, 0);
    if (length < 0) fail("%s: %s", path, strerror(errno));
    text[length] = 0;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        parse_line(&file, line);
    }
    return file;
}

static int print_grant(char *text, size_t size, const char *kind, const grant *grant)
{
    if (grant->token[0] == 0) return 0;
    return snprintf(text, size, "%s %s %llu %s %s\n", kind, grant->token, (unsigned long long)grant->expires_ns,
                    grant->boot, grant->holder);
}

/* Writes both lines at once; the rest of the file's fixed size is filled with empty lines. */
static void save(const lease_file *file)
{
    char text[FILE_SIZE];
    memset(text, '\n', sizeof text);
    int length = print_grant(text, sizeof text, "leased", &file->leased);
    length += print_grant(text + length, sizeof text - (size_t)length, "reserved", &file->reserved);
    text[length] = '\n'; /* where snprintf left its end */
    if (pwrite(file->descriptor, text, sizeof text, 0) != (ssize_t)sizeof text) {
        fail("%s: %s", file->path, strerror(errno));
    }
}

static grant new_grant(const options *options)
{
    grant grant = {.expires_ns = boottime_ns() + options->ttl_ms * 1000000u};
    snprintf(grant.token, sizeof grant.token, "%s", options->token);
    snprintf(grant.holder, sizeof grant.holder, "%s", options->holder);
    read_boot_id(grant.boot);
    return grant;
}

/* Says who is in the way, or null where nobody is. */
static void say(bool granted, const grant *in_the_way)
{
    begin_event("lease");
    json_text("granted", granted ? "yes" : "no");
    if (in_the_way != NULL && in_the_way->token[0] != 0) {
        const uint64_t now = boottime_ns(), end = in_the_way->expires_ns;
        json_text("holder", in_the_way->holder);
        json_integer("ms_left", end > now ? (int64_t)((end - now) / 1000000u) : 0);
    } else {
        json_null("holder");
        json_null("ms_left");
    }
    json_end();
}

/* Whether the lease is that of an owner who is known to be gone. */
static bool is_of_gone(const grant *grant, const options *options)
{
    return options->gone != NULL && strcmp(grant->holder, options->gone) == 0;
}

/* acquire: a reservation of somebody else is in the way, and so is a lease of somebody else. */
static void acquire(lease_file *file, const options *options)
{
    if (in_force(&file->reserved) && !is(&file->reserved, options->reservation)) {
        say(false, &file->reserved);
    } else if (in_force(&file->leased) && !is(&file->leased, options->token) && !is_of_gone(&file->leased, options)) {
        say(false, &file->leased);
    } else {
        file->leased = new_grant(options);
        save(file);
        kill_orphans();
        say(true, NULL);
    }
}

/* renew: what is still one's own, even where it ran out, as long as nobody took it in between. */
static void renew(lease_file *file, const options *options)
{
    const bool own = is(&file->leased, options->token);
    if (own) {
        file->leased = new_grant(options);
        save(file);
    }
    say(own, own ? NULL : &file->leased);
}

static void release(lease_file *file, const options *options)
{
    const bool own = is(&file->leased, options->token);
    if (own) {
        file->leased = (grant){0};
        save(file);
    }
    say(own, own ? NULL : &file->leased);
}

/* reserve: for people; what is running goes on. */
static void reserve(lease_file *file, const options *options)
{
    const bool taken = in_force(&file->reserved) && !is(&file->reserved, options->token);
    if (!taken) {
        file->reserved = new_grant(options);
        save(file);
    }
    say(!taken, taken ? &file->reserved : NULL);
}

/* clear: ends the reservation and whatever lease there is, whosever they are. */
static void clear(lease_file *file, const options *options)
{
    (void)options;
    file->leased = file->reserved = (grant){0};
    save(file);
    say(true, NULL);
}

/* show: who holds the device, or has reserved it. */
static void show(lease_file *file, const options *options)
{
    (void)options;
    const grant *holder = in_force(&file->leased) ? &file->leased : in_force(&file->reserved) ? &file->reserved : NULL;
    say(holder == NULL, holder);
}

static void check_text(const char *name, const char *text, size_t size)
{
    const size_t length = strlen(text);
    if (length == 0 || length >= size) fail("%s takes 1 to %zu characters", name, size - 1);
    for (size_t i = 0; i < length; i++) {
        if (text[i] < ' ' || text[i] > '~') fail("%s takes printable ASCII characters", name);
    }
}

typedef struct action {
    const char *name;
    void (*act)(lease_file *, const options *);
    bool with_token;
} action;

static const action *find_action(const char *name)
{
    static const action actions[] = {{"acquire", acquire, true}, {"renew", renew, true}, {"release", release, true},
                                     {"reserve", reserve, true}, {"clear", clear, false}, {"show", show, false}};
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (strcmp(name, actions[i].name) == 0) return &actions[i];
    }
    fail("--action '%s': use acquire, renew, release, reserve, clear or show", name);
}

void run_lease(runner *runner)
{
    const options *options = &runner->options;
    const action *action = find_action(options->action);
    if (action->with_token) {
        if (options->token == NULL || options->holder == NULL) fail("%s needs --token and --holder", action->name);
        check_text("--token", options->token, TOKEN_SIZE);
        check_text("--holder", options->holder, HOLDER_SIZE);
        if (strchr(options->token, ' ') != NULL) fail("--token takes no space");
    }
    lease_file file = open_locked(options->file, O_RDWR | O_CREAT);
    action->act(&file, options);
    close(file.descriptor);
}

void check_fence(void)
{
    const char *fence = getenv("QB_LEASE");
    if (fence == NULL) return;
    const char *token = strrchr(fence, ':');
    char path[256];
    if (token == NULL || token == fence || (size_t)(token - fence) >= sizeof path) fail("QB_LEASE is not FILE:TOKEN");
    snprintf(path, sizeof path, "%.*s", (int)(token - fence), fence);
    lease_file file = open_locked(path, O_RDONLY);
    if (!is(&file.leased, token + 1)) {
        fail("the lease on this device is lost: %s", file.leased.token[0] != 0 ? file.leased.holder : "nobody holds it");
    }
    close(file.descriptor);
}

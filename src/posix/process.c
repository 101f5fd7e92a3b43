/* SPDX-License-Identifier: Apache-2.0 */
#include "errors.h"
#include "latch.h"
#include "leases.h"
#include "os.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * The hands travel in one variable of the environment: name=descriptor,device,inode;... What a descriptor leads to is written
 * down because the variable can outlive it: what the child starts by other means finds the variable too.
 */
#define VARIABLE "CANO_HANDS"
#define FIRST_HAND 3 /* behind stdio */
#define NAME_MOST 80
#define NAME_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/-"
#define HAND_TEXT (NAME_MOST + 48) /* name, three numbers, what stands between them */
#define HANDS_MOST 4096
#define SELF_MOST 4096

/* All that a start needs and that has to be let go of again. */
typedef struct launch {
    const cano_os_hand *hands;
    int count;
    int *sources;       /* the hands in this process, out of the way of where they will be in the child */
    char *text;         /* of VARIABLE; NULL: no hands */
    char **environment; /* the texts are borrowed */
    const char **argv;
    char self[SELF_MOST];
} launch;

/* ---- prepare ---- */

static bool is_name(const char *name)
{
    const size_t length = name == NULL ? 0 : strlen(name);
    return length > 0 && length <= NAME_MOST && strspn(name, NAME_LETTERS) == length;
}

static bool are_hands(const cano_os_hand *hands, size_t count)
{
    if (count > HANDS_MOST) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_name(hands[i].name)) {
            return false;
        }
    }
    return true;
}

static cano_status fail_to_gather(int error)
{
    switch (error) {
    case EBADF:
        return cano_os_fail(error, CANO_EINVAL);
    case EINVAL: /* of fcntl: there are no numbers that high */
        return cano_os_fail(error, CANO_ELIMIT);
    default:
        return cano_posix_failed(error);
    }
}

/* Beyond the last number that the child will use no dup2 there overwrites a source, and none is onto itself, which would
 * leave close-on-exec set. A copy may be one of a lease, so no fork meanwhile may copy it unseen. */
static cano_status gather(launch *start)
{
    const int beyond = FIRST_HAND + start->count;
    for (int i = 0; i < start->count; i++) {
        const int fd = start->sources[i] = (int)start->hands[i].handle;
        const int error = fd < beyond ? cano_posix_lease_copy(fd, beyond, &start->sources[i]) : 0;
        if (error != 0) {
            return fail_to_gather(error);
        }
    }
    return CANO_OK;
}

static cano_status describe(launch *start)
{
    char *end = start->text + sprintf(start->text, VARIABLE "=");
    for (int i = 0; i < start->count; i++) {
        struct stat what;
        if (fstat(start->sources[i], &what) != 0) {
            return fail_to_gather(errno);
        }
        end += sprintf(end, "%s%s=%d,%llx,%llx", i > 0 ? ";" : "", start->hands[i].name, FIRST_HAND + i,
                       (unsigned long long)what.st_dev, (unsigned long long)what.st_ino);
    }
    return CANO_OK;
}

static size_t length_of(const char *const *list)
{
    size_t length = 0;
    while (list[length] != NULL) {
        length++;
    }
    return length;
}

/* Our environment without the hands that we were given, and with those that we give. */
static cano_status compose(launch *start)
{
    const size_t length = length_of((const char *const *)environ);
    char **next = start->environment = calloc(length + 2, sizeof *next);
    if (next == NULL) {
        return cano_posix_failed(ENOMEM);
    }
    for (size_t i = 0; i < length; i++) {
        if (strncmp(environ[i], VARIABLE "=", sizeof VARIABLE) != 0) {
            *next++ = environ[i];
        }
    }
    *next = start->text;
    return CANO_OK;
}

/* "" becomes the path of this program, for the system and for the child to see. */
static cano_status name_program(launch *start, const char *const *argv)
{
    const size_t length = length_of(argv);
    start->argv = calloc(length + 1, sizeof *start->argv);
    if (start->argv == NULL) {
        return cano_posix_failed(ENOMEM);
    }
    memcpy(start->argv, argv, length * sizeof *argv);
    if (argv[0][0] == '\0') {
        if (readlink("/proc/self/exe", start->self, sizeof start->self - 1) < 0) {
            return cano_posix_failed(errno);
        }
        start->argv[0] = start->self;
    }
    return CANO_OK;
}

static cano_status gather_hands(launch *start)
{
    if (start->count == 0) {
        return CANO_OK;
    }
    start->sources = calloc((size_t)start->count, sizeof *start->sources);
    start->text = calloc((size_t)start->count + 1, HAND_TEXT);
    if (start->sources == NULL || start->text == NULL) {
        return cano_posix_failed(ENOMEM);
    }
    const cano_status status = gather(start);
    return status == CANO_OK ? describe(start) : status;
}

/* Descriptors first: the handle of the end will want one. */
static void let_go_of_sources(launch *start)
{
    for (int i = 0; start->sources != NULL && i < start->count; i++) {
        if (start->sources[i] > 0 && start->sources[i] != start->hands[i].handle) {
            cano_os_lease_drop(start->sources[i]);
        }
    }
    free(start->sources);
    start->sources = NULL;
}

static void let_go(launch *start)
{
    let_go_of_sources(start);
    free(start->text);
    free(start->environment);
    free(start->argv);
    free(start);
}

/* ---- start: these give error numbers, as posix_spawn does ---- */

#if defined(CANO_HAS_SPAWN_CLOSEFROM)
static int close_the_rest(posix_spawn_file_actions_t *actions, int first)
{
    return posix_spawn_file_actions_addclosefrom_np(actions, first);
}
#else
/* What another thread opens meanwhile without close-on-exec is missed. */
static int close_the_rest(posix_spawn_file_actions_t *actions, int first)
{
    const long end = sysconf(_SC_OPEN_MAX);
    int error = 0;
    for (int fd = first; fd < end && error == 0; fd++) {
        if (fcntl(fd, F_GETFD) == 0) {
            error = posix_spawn_file_actions_addclose(actions, fd);
        }
    }
    return error;
}
#endif

static int place_hands(posix_spawn_file_actions_t *actions, const launch *start)
{
    for (int i = 0; i < start->count; i++) {
        const int error = posix_spawn_file_actions_adddup2(actions, start->sources[i], FIRST_HAND + i);
        if (error != 0) {
            return error;
        }
    }
    return close_the_rest(actions, FIRST_HAND + start->count);
}

/* The child begins as a program expects to: our mask is our thread's, our SIGPIPE our program's. */
static int reset_signals(posix_spawnattr_t *attributes)
{
    sigset_t none;
    sigset_t defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &defaults);
    return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

static int start_with(const launch *start, posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, pid_t *pid)
{
    int error = place_hands(actions, start);
    if (error == EBADF) { /* said of numbers that our limit does not reach */
        return EMFILE;
    }
    if (error == 0) {
        error = reset_signals(attributes);
    }
    if (error == 0) {
        error = posix_spawnp(pid, start->argv[0], actions, attributes, (char *const *)start->argv, start->environment);
    }
    return error;
}

static int start_now(const launch *start, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0) {
        return error;
    }
    error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        error = start_with(start, &actions, &attributes, pid);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

static cano_status fail_to_start(int error)
{
    switch (error) {
    case EAGAIN: /* no more processes */
        return cano_os_fail(error, CANO_ELIMIT);
    case ENOTDIR:
        return cano_os_fail(error, CANO_ENOENT);
    default:
        return cano_posix_failed(error);
    }
}

#ifdef SYS_pidfd_open
/* Born close-on-exec. */
static int watch(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}
#else
static int watch(pid_t pid)
{
    (void)pid;
    errno = ENOSYS;
    return -1;
}
#endif

/* A child that nobody could wait for must not go on. One that is gone already (SIGCHLD ignored) has no number any more. */
static cano_status take_back(pid_t pid, int error)
{
    if (error != ESRCH) {
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    return cano_posix_failed(error);
}

static cano_status run(launch *start, int64_t *pid, cano_os_handle *ended)
{
    pid_t child;
    const int error = start_now(start, &child);
    if (error != 0) {
        return fail_to_start(error);
    }
    let_go_of_sources(start);
    const int end = watch(child);
    if (end < 0) {
        return take_back(child, errno);
    }
    *pid = child;
    *ended = end;
    return CANO_OK;
}

cano_status cano_os_spawn(const char *const *argv, const cano_os_hand *hands, size_t count, int64_t *pid, cano_os_handle *ended)
{
    if (!are_hands(hands, count)) {
        return cano_os_fail(0, CANO_EINVAL);
    }
    launch *start = calloc(1, sizeof *start);
    if (start == NULL) {
        return cano_posix_failed(ENOMEM);
    }
    start->hands = hands;
    start->count = (int)count;
    cano_status status = gather_hands(start);
    if (status == CANO_OK) {
        status = compose(start);
    }
    if (status == CANO_OK) {
        status = name_program(start, argv);
    }
    if (status == CANO_OK) {
        status = run(start, pid, ended);
    }
    let_go(start);
    return status;
}

cano_status cano_os_reap(int64_t pid, cano_os_handle ended, int *code, int *signal)
{
    (void)ended;
    int status = 0;
    pid_t waited;
    do {
        waited = waitpid((pid_t)pid, &status, WNOHANG);
    } while (waited < 0 && errno == EINTR);
    if (waited < 0) {
        return cano_os_fail(errno, CANO_ESYSTEM);
    }
    if (waited == 0) {
        return cano_os_fail(EAGAIN, CANO_ETIMEOUT);
    }
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    *signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return CANO_OK;
}

cano_status cano_os_kill(int64_t pid, cano_os_handle ended)
{
    (void)ended;
    return kill((pid_t)pid, SIGKILL) == 0 ? CANO_OK : cano_posix_failed(errno);
}

/* ---- in the child ---- */

typedef struct inherited {
    char name[NAME_MOST + 1];
    int fd; /* -1: taken, or not what was handed over */
} inherited;

typedef struct inheritance {
    size_t count;
    inherited hands[];
} inheritance;

static struct {
    cano_latch latch;
    inheritance *found; /* the last thing that is set, so a fork in the midst of it makes the child look again */
} heir;

/* Is it still what the parent handed over? From now on it goes no further. */
static bool secure(int fd, unsigned long long device, unsigned long long inode)
{
    struct stat what;
    return fd >= FIRST_HAND && fstat(fd, &what) == 0 && what.st_dev == device && what.st_ino == inode &&
           fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

/* How many characters the first hand of text took, its end included; 0: it is no hand. */
static size_t parse_hand(const char *text, inherited *hand)
{
    unsigned long long device;
    unsigned long long inode;
    int length = 0;
    if (sscanf(text, "%80[^=;]=%9d,%16llx,%16llx%n", hand->name, &hand->fd, &device, &inode, &length) != 4) {
        return 0;
    }
    if (!secure(hand->fd, device, inode)) {
        hand->fd = -1;
    }
    return text[length] == ';' ? (size_t)length + 1 : (size_t)length;
}

static inheritance *parse(const char *text)
{
    size_t most = 1;
    for (const char *next = text; *next != '\0'; next++) {
        most += *next == ';';
    }
    inheritance *all = calloc(1, sizeof *all + most * sizeof all->hands[0]);
    size_t length = 1;
    while (all != NULL && *text != '\0' && length > 0 && all->count < most) {
        length = parse_hand(text, &all->hands[all->count]);
        all->count += length > 0;
        text += length;
    }
    return all;
}

/* Under the latch. The variable stays: to change the environment is not safe beside other threads. */
static cano_status take(const char *name, cano_os_handle *handle)
{
    if (heir.found == NULL) {
        const char *text = getenv(VARIABLE);
        heir.found = parse(text == NULL ? "" : text);
    }
    if (heir.found == NULL) {
        return cano_posix_failed(ENOMEM);
    }
    for (size_t i = 0; i < heir.found->count; i++) {
        inherited *hand = &heir.found->hands[i];
        if (strcmp(hand->name, name) == 0 && hand->fd >= 0) {
            *handle = hand->fd;
            hand->fd = -1;
            return CANO_OK;
        }
    }
    return cano_os_fail(0, CANO_ENOENT);
}

cano_status cano_os_inherited(const char *name, cano_os_handle *handle)
{
    cano_latch_close(&heir.latch);
    const cano_status status = take(name, handle);
    cano_latch_open(&heir.latch);
    return status;
}

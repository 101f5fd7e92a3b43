/* SPDX-License-Identifier: Apache-2.0 */
#include "os.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char boot_id[48];

int64_t cano_os_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void read_boot_id(void)
{
    const int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    const ssize_t got = file < 0 ? 0 : read(file, boot_id, sizeof boot_id - 1);
    if (file >= 0) {
        close(file);
    }
    boot_id[got > 0 ? got : 0] = 0;
    boot_id[strcspn(boot_id, "\n")] = 0;
    if (boot_id[0] == 0) {
        strcpy(boot_id, "unknown"); /* the same for all who cannot know: names then outlive a restart of the machine */
    }
}

void cano_os_boot(char boot[48])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_boot_id);
    memcpy(boot, boot_id, sizeof boot_id);
}

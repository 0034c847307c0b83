/* Slows down a disk: preloaded, it delays each flush by SLOW_DISK_MS, and while the file SLOW_DISK_HANG exists. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static int flush(const char *name, int descriptor) {
    const char *delay = getenv("SLOW_DISK_MS"), *hang = getenv("SLOW_DISK_HANG");
    if (delay) usleep(atoi(delay) * 1000);
    while (hang && !access(hang, F_OK)) usleep(1000);
    int (*original)(int) = dlsym(RTLD_NEXT, name);
    return original(descriptor);
}

int fsync(int descriptor) { return flush("fsync", descriptor); }
int fdatasync(int descriptor) { return flush("fdatasync", descriptor); }

/* Stands between one process and its disk (LD_PRELOAD): counts what it does to the files under one directory, ends it
 * at a chosen step, lets calls fail, pretends a size of the disk, and keeps a journal of what was written and synced.
 *
 *   FAULTS_UNDER    the directory, absolute
 *   FAULTS_CONTROL  a file of `struct control`, mapped and shared: the test changes it while the process runs
 *   FAULTS_JOURNAL  where the journal goes; none is kept without it
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, RENAME = 4, UNLINK = 8, TRUNCATE = 16, SEND = 32, OPEN = 64 };

struct control {
    int64_t counted;     /* steps taken of the kinds that count */
    int64_t kill_at;     /* the step before which the process ends, 0: none */
    int64_t torn;        /* 1: a write at which it ends is half done */
    int64_t kinds;       /* what counts */
    int64_t error;       /* errno of the calls that fail, 0: none do */
    int64_t error_kinds; /* which fail */
    int64_t free;        /* bytes still free on the pretended disk, -1: no such disk */
    int64_t port;        /* SEND counts towards this port only */
    char counted_in[64]; /* part of the path of what counts; with a $ behind it, its end */
    char failing_in[64]; /* the same of what fails */
    int64_t failed;      /* calls that failed so */
};

struct record { /* then the name, then the data; `at` is an offset, a length, or where the journal stood */
    uint32_t kind, name, data, pad;
    uint64_t inode;
    int64_t at;
};

static struct control *control;
static const char *under;
static int journal = -1;
static int64_t journal_end;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS_CONTROL"), *to = getenv("FAULTS_JOURNAL");
    under = getenv("FAULTS_UNDER");
    if (!path || !under) return;
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    void *map = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (map == MAP_FAILED) abort();
    control = map;
    if (to) journal = syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static int is_ours(const char *path) {
    return control && !strncmp(path, under, strlen(under)) && !strstr(path, "-shm");
}

/* Absolute path of a name or of an open file; 0 when it is not under the directory. */
static int named(const char *name, char *path) {
    if (!control || !name) return 0;
    if (name[0] == '/') return snprintf(path, PATH_MAX, "%s", name) && is_ours(path);
    char cwd[PATH_MAX];
    if (!getcwd(cwd, sizeof cwd)) return 0;
    return snprintf(path, PATH_MAX, "%s/%s", cwd, name) > 0 && is_ours(path);
}

static int opened(int fd, char *path) {
    char link[64];
    if (!control) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_ours(path);
}

static int has(const char *path, const char *part) {
    size_t all = strlen(path), length = strlen(part);
    if (!length || part[length - 1] != '$') return strstr(path, part) != NULL;
    return all >= --length && !strncmp(path + all - length, part, length);
}

/* Count a step; 1: the process is to end here. */
static int ends(int kind, const char *path) {
    if (!(control->kinds & kind) || !has(path, control->counted_in)) return 0;
    return __atomic_add_fetch(&control->counted, 1, __ATOMIC_SEQ_CST) == control->kill_at;
}

static void end(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

static int fails(int kind, const char *path) {
    if (!control->error || !(control->error_kinds & kind) || !has(path, control->failing_in)) return 0;
    __atomic_add_fetch(&control->failed, 1, __ATOMIC_SEQ_CST);
    errno = (int)control->error;
    return 1;
}

static void note(uint32_t kind, uint64_t inode, int64_t at, const char *name, const void *data, size_t length) {
    if (journal < 0) return;
    struct record head = {kind, (uint32_t)strlen(name), (uint32_t)length, 0, inode, at};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)name, head.name}, {(void *)data, length}};
    syscall(SYS_writev, journal, parts, 3);
    __atomic_add_fetch(&journal_end, (int64_t)(sizeof head + head.name + length), __ATOMIC_SEQ_CST);
}

static struct stat about(int fd) {
    struct stat found = {0};
    fstat(fd, &found);
    return found;
}

/* Take `growth` bytes from the pretended disk; 0 and ENOSPC when it has no room for them. */
static int takes(int64_t growth) {
    if (control->free < 0) return 1;
    if (growth > 0 && growth > control->free) {
        errno = ENOSPC;
        return 0;
    }
    __atomic_sub_fetch(&control->free, growth, __ATOMIC_SEQ_CST);
    return 1;
}

static ssize_t written(int fd, const void *data, size_t length, off_t at, const char *path) {
    if (ends(WRITE, path)) {
        if (control->torn) syscall(SYS_pwrite64, fd, data, length / 2, at);
        end();
    }
    if (fails(WRITE, path)) return -1;
    pthread_mutex_lock(&lock);
    struct stat file = about(fd);
    ssize_t done = -1;
    if (takes(at + (off_t)length > file.st_size ? at + (off_t)length - file.st_size : 0)) {
        done = syscall(SYS_pwrite64, fd, data, length, at);
        if (done > 0) note(WRITE, file.st_ino, at, "", data, (size_t)done);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t at) {
    char path[PATH_MAX];
    return opened(fd, path) ? written(fd, data, length, at, path) : syscall(SYS_pwrite64, fd, data, length, at);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at) { return pwrite64(fd, data, length, at); }

ssize_t write(int fd, const void *data, size_t length) {
    char path[PATH_MAX];
    if (!opened(fd, path)) return syscall(SYS_write, fd, data, length);
    int append = fcntl(fd, F_GETFL) & O_APPEND;
    off_t at = append ? about(fd).st_size : lseek(fd, 0, SEEK_CUR);
    ssize_t done = written(fd, data, length, at, path);
    if (done > 0) lseek(fd, at + done, SEEK_SET);
    return done;
}

static int synced(int fd, int number) {
    char path[PATH_MAX];
    if (!opened(fd, path)) return syscall(number, fd);
    if (ends(SYNC, path)) end();
    if (fails(SYNC, path)) return -1;
    int64_t until = __atomic_load_n(&journal_end, __ATOMIC_SEQ_CST);
    int result = syscall(number, fd);
    struct stat file = about(fd);
    pthread_mutex_lock(&lock);
    if (!result) note(SYNC, file.st_ino, until, S_ISDIR(file.st_mode) ? path : "", "", 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

int ftruncate64(int fd, off_t length) {
    char path[PATH_MAX];
    if (!opened(fd, path)) return syscall(SYS_ftruncate, fd, length);
    if (ends(TRUNCATE, path)) end();
    if (fails(TRUNCATE, path)) return -1;
    pthread_mutex_lock(&lock);
    struct stat file = about(fd);
    int result = takes(length - file.st_size) ? syscall(SYS_ftruncate, fd, length) : -1;
    if (!result) note(TRUNCATE, file.st_ino, length, "", "", 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

/* The pretended disk cannot reserve: who asks writes, as on file systems that have no fallocate. */
int fallocate64(int fd, int mode, off_t at, off_t length) {
    char path[PATH_MAX];
    if (!opened(fd, path)) return syscall(SYS_fallocate, fd, mode, at, length);
    errno = EOPNOTSUPP;
    return -1;
}

int fallocate(int fd, int mode, off_t at, off_t length) { return fallocate64(fd, mode, at, length); }
int posix_fallocate64(int fd, off_t at, off_t length) { return fallocate64(fd, 0, at, length) ? errno : 0; }
int posix_fallocate(int fd, off_t at, off_t length) { return fallocate64(fd, 0, at, length) ? errno : 0; }

static int opening(int folder, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    if (!(flags & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR)) || !named(name, path))
        return syscall(SYS_openat, folder, name, flags, mode);
    struct stat before = {0};
    int fresh = stat(path, &before) != 0;
    if ((fresh || flags & O_TRUNC) && ends(OPEN, path)) end();
    if (fails(OPEN, path)) return -1;
    pthread_mutex_lock(&lock);
    int fd = syscall(SYS_openat, folder, name, flags, mode);
    if (fd >= 0 && fresh) note(OPEN, about(fd).st_ino, 0, path, "", 0);
    if (fd >= 0 && !fresh && flags & O_TRUNC) {
        takes(-before.st_size);
        note(TRUNCATE, before.st_ino, 0, "", "", 0);
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

#define MODE(flags, mode) \
    mode_t mode = 0; \
    if (flags & O_CREAT) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *name, int flags, ...) { MODE(flags, mode) return opening(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE(flags, mode) return opening(AT_FDCWD, name, flags, mode); }
int openat(int at, const char *name, int flags, ...) { MODE(flags, mode) return opening(at, name, flags, mode); }
int openat64(int at, const char *name, int flags, ...) { MODE(flags, mode) return opening(at, name, flags, mode); }

int rename(const char *from, const char *to) {
    char path[PATH_MAX], target[PATH_MAX];
    if (!named(from, path) || !named(to, target)) return syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
    if (ends(RENAME, path)) end();
    if (fails(RENAME, path)) return -1;
    struct stat file = {0};
    pthread_mutex_lock(&lock);
    if (!stat(target, &file)) takes(-file.st_size);
    int result = syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
    if (!result) note(RENAME, 0, 0, path, target, strlen(target));
    pthread_mutex_unlock(&lock);
    return result;
}

int unlink(const char *name) {
    char path[PATH_MAX];
    if (!named(name, path)) return syscall(SYS_unlinkat, AT_FDCWD, name, 0);
    if (ends(UNLINK, path)) end();
    if (fails(UNLINK, path)) return -1;
    struct stat file = {0};
    pthread_mutex_lock(&lock);
    int there = !stat(path, &file);
    int result = syscall(SYS_unlinkat, AT_FDCWD, name, 0);
    if (!result && there) takes(-file.st_size);
    if (!result) note(UNLINK, 0, 0, path, "", 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int statvfs64(const char *name, struct statvfs64 *found) {
    char path[PATH_MAX];
    int result = REAL(statvfs64)(name, found);
    if (!result && named(name, path) && control->free >= 0)
        found->f_bavail = found->f_bfree = (unsigned long)control->free / found->f_frsize;
    return result;
}

int statvfs(const char *name, struct statvfs *found) { return statvfs64(name, (struct statvfs64 *)found); }

static int to_port(int fd) {
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    if (!control || !(control->kinds & SEND) || getpeername(fd, (struct sockaddr *)&peer, &size)) return 0;
    return peer.sin_family == AF_INET && ntohs(peer.sin_port) == control->port;
}

ssize_t send(int fd, const void *data, size_t length, int flags) {
    if (to_port(fd) && ends(SEND, control->counted_in)) end();
    return syscall(SYS_sendto, fd, data, length, flags, NULL, 0);
}

ssize_t recv(int fd, void *data, size_t length, int flags) {
    if (to_port(fd) && ends(SEND, control->counted_in)) end();
    return syscall(SYS_recvfrom, fd, data, length, flags, NULL, NULL);
}

/* What CPython and NumPy call and clknetsim does not know; loaded before clknetsim.so. See run-under-clknetsim.md.
 *
 * cc -shared -fPIC -o shim.so clknetsim-shim.c
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The C library's own function, behind clknetsim's. */
static void *libc(const char *name) {
    return dlsym(dlopen("libc.so.6", RTLD_LAZY), name);
}

static int simulated(int fd) {
    return (fd >= 100 && fd < 400) || (fd >= 1000 && fd < 1024);
}

/* Simulated descriptors are neither inherited nor waited for: what Python asks of them holds. */
int ioctl(int fd, unsigned long request, ...) {
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (!simulated(fd))
        return ((int (*)(int, unsigned long, ...))libc("ioctl"))(fd, request, argument);
    if (request == FIOCLEX || request == FIONCLEX || request == FIONBIO)
        return 0;
    return ((int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl"))(fd, request, argument);
}

int socket(int domain, int type, int protocol) {
    int (*next)(int, int, int) = dlsym(RTLD_NEXT, "socket");
    return next(domain, type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK), protocol);
}

int open64(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return open(path, flags, mode);
}

/* NumPy's linear algebra places its memory by mbind() and others; clknetsim knows only four calls. */
long syscall(long number, ...) {
    va_list arguments;
    long a[6];
    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(arguments, long);
    va_end(arguments);
    int known = number == SYS_clock_adjtime || number == SYS_getrandom || number == SYS_futex || number == SYS_gettid;
    long (*next)(long, ...) = known ? dlsym(RTLD_NEXT, "syscall") : libc("syscall");
    return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* When the simulation is over its time stands still, and each select() asks the program by a signal to end. CPython goes
 * on waiting after a signal: without this, for a time that never comes.
 */
int kill(pid_t process, int number) {
    static int asked;
    if (process == getpid() && number == SIGTERM && ++asked > 100)
        _exit(0);
    int (*next)(pid_t, int) = dlsym(RTLD_NEXT, "kill");
    return next(process, number);
}

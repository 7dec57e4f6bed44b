/* Loaded before user-mode-linux, whose kernel 6.1 hands over 2,696 bytes of a guest's floating-point registers: on
 * processors whose state is longer (AMX), the host's kernel takes nothing but the whole, and the guest would panic.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

enum { LONGEST = 65536 };

long ptrace(enum __ptrace_request request, ...) {
    static long (*next)(enum __ptrace_request, pid_t, void *, void *);
    static char state[LONGEST];
    va_list arguments;
    va_start(arguments, request);
    pid_t process = va_arg(arguments, pid_t);
    void *address = va_arg(arguments, void *);
    struct iovec *data = va_arg(arguments, void *);
    va_end(arguments);
    if (!next)
        next = (long (*)(enum __ptrace_request, pid_t, void *, void *))dlsym(RTLD_NEXT, "ptrace");
    if (request != PTRACE_SETREGSET || address != (void *)NT_X86_XSTATE)
        return next(request, process, address, data);
    /* What the guest does not know stays as it is in its process. */
    struct iovec whole = {state, sizeof state};
    if (next(PTRACE_GETREGSET, process, address, &whole) != 0)
        return -1;
    memcpy(state, data->iov_base, data->iov_len);
    return next(PTRACE_SETREGSET, process, address, &whole);
}

#ifndef PARLEY_CLIBPQ_SHIM_H
#define PARLEY_CLIBPQ_SHIM_H

#include <libpq-fe.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

#ifndef LIBPQ_HAS_PIPELINING
#error "Parley needs libpq 14 or newer"
#endif

/* prctl takes a variable number of arguments, which Swift cannot call. At most 15 bytes of the name are kept. */
static inline int parley_set_thread_name(const char *name) {
    return prctl(PR_SET_NAME, name, 0, 0, 0);
}

#endif

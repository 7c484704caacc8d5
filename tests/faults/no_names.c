/* Preloaded: the name meters.plant is 127.0.0.1, and nobody knows it while the file $NAMES_GONE exists. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*lookup)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    lookup real = (lookup)dlsym(RTLD_NEXT, "getaddrinfo");
    if (node == NULL || strcmp(node, "meters.plant") != 0)
        return real(node, service, hints, found);
    if (access(getenv("NAMES_GONE"), F_OK) == 0) {
        sleep(1); /* what a resolver waits for a server that is gone; real ones wait longer */
        return EAI_AGAIN;
    }
    return real("127.0.0.1", service, hints, found);
}

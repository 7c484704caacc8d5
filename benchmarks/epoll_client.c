/* Modbus TCP ports on loopback enter; the CPU time a C program needs to ask and decode them leaves: the limit.

   epoll_client UNITS REGISTERS PERIOD_MS WARM_MS MEASURE_MS PORT...
   One connection a port; each period it asks its units one after another for input registers from address 0 and
   decodes them as big-endian float32, the last one as uint16. Prints {"cpu_s": ..., "count": ...} of the measured time. */

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 64, HEADER = 9 };

static struct link { int fd, unit, have; uint16_t number; uint8_t reply[300]; } links[MOST];
static int units, registers, epoll;
static float values[62];
static uint16_t state;
static volatile float kept; /* what was decoded counts as used */

static void fail(const char *what) { perror(what); exit(1); }

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static double cpu_s(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static void ask(struct link *l) {
    uint16_t n = ++l->number;
    uint8_t request[12] = {n >> 8, n, 0, 0, 0, 6, l->unit, 4, 0, 0, registers >> 8, registers};
    if (write(l->fd, request, sizeof request) != sizeof request) fail("write");
}

static void decode(const uint8_t *data) {
    int floats = registers / 2 < 62 ? registers / 2 : 62;
    for (int i = 0; i < floats; i++) {
        uint32_t word;
        memcpy(&word, data + 4 * i, 4);
        word = ntohl(word);
        memcpy(values + i, &word, 4);
    }
    state = data[2 * registers - 2] << 8 | data[2 * registers - 1];
    kept = values[floats - 1] + state;
}

/* Take what has come; return 1 when it completes the good answer to what was asked. */
static int take(struct link *l) {
    ssize_t got = read(l->fd, l->reply + l->have, sizeof l->reply - l->have);
    if (got <= 0) fail("read");
    l->have += got;
    if (l->have < HEADER + 2 * registers) return 0;
    const uint8_t *r = l->reply;
    if ((r[0] << 8 | r[1]) != l->number || r[6] != l->unit || r[7] != 4 || r[8] != 2 * registers) {
        fprintf(stderr, "unit %d answered something else\n", l->unit);
        exit(1);
    }
    decode(r + HEADER);
    l->have = 0;
    return 1;
}

static void open_link(struct link *l, int port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    l->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (l->fd < 0 || connect(l->fd, (struct sockaddr *)&at, sizeof at)) fail("connect");
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = l};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, l->fd, &event)) fail("epoll_ctl");
}

int main(int argc, char **argv) {
    if (argc < 7 || argc - 6 > MOST) return 2;
    units = atoi(argv[1]);
    registers = atoi(argv[2]);
    double period_s = atof(argv[3]) / 1e3, begin = now_s() + atof(argv[4]) / 1e3, end = begin + atof(argv[5]) / 1e3;
    int count = argc - 6, done = 0, measuring = 0;
    long requests = 0;
    double used = 0, due = now_s();
    epoll = epoll_create1(0);
    for (int i = 0; i < count; i++) open_link(&links[i], atoi(argv[6 + i]));
    for (;;) {
        double now = now_s();
        if (!measuring && now >= begin) measuring = 1, requests = 0, used = cpu_s();
        if (now >= end) break;
        if (now < due) { usleep((due - now) * 1e6); continue; }
        for (int i = 0; i < count; i++) links[i].unit = 1, ask(&links[i]);
        for (done = 0; done < count;) {
            struct epoll_event ready[MOST];
            int n = epoll_wait(epoll, ready, MOST, 1000);
            if (n <= 0) fail("epoll_wait");
            for (int i = 0; i < n; i++) {
                struct link *l = ready[i].data.ptr;
                if (!take(l)) continue;
                requests++;
                if (l->unit++ < units) ask(l);
                else done++;
            }
        }
        due = due + period_s > now_s() ? due + period_s : now_s();
    }
    printf("{\"cpu_s\": %.6f, \"count\": %ld}\n", cpu_s() - used, requests);
    return 0;
}

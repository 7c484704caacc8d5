/* A Modbus TCP server made of libmodbus: "table address value" lines on stdin up to "go" in, its port on stdout out.
 *
 * table is h (holding), i (input), c (coil) or d (discrete); every table has 1,000 places, what lies beyond answers
 * with exception 2. Registers are given raw, so no conversion of libmodbus comes between. Ends when stdin closes.
 */
#include <arpa/inet.h>
#include <modbus.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PLACES = 1000 };

static int fill(modbus_mapping_t *map)
{
    char line[64], table;
    unsigned address, value;

    while (fgets(line, sizeof line, stdin)) {
        if (!strncmp(line, "go", 2))
            return 0;
        if (sscanf(line, "%c %u %u", &table, &address, &value) != 3 || address >= PLACES)
            return -1;
        switch (table) {
        case 'h': map->tab_registers[address] = value; break;
        case 'i': map->tab_input_registers[address] = value; break;
        case 'c': map->tab_bits[address] = value; break;
        case 'd': map->tab_input_bits[address] = value; break;
        default: return -1;
        }
    }
    return -1;
}

static int serve(modbus_t *ctx, int listener, modbus_mapping_t *map)
{
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    fd_set all, ready;
    int most = listener;

    FD_ZERO(&all);
    FD_SET(STDIN_FILENO, &all);
    FD_SET(listener, &all);
    for (;;) {
        ready = all;
        if (select(most + 1, &ready, NULL, NULL, NULL) < 0)
            return 1;
        if (FD_ISSET(STDIN_FILENO, &ready))
            return 0;
        for (int fd = 0; fd <= most; fd++) {
            if (!FD_ISSET(fd, &ready))
                continue;
            if (fd == listener) {
                int client = accept(listener, NULL, NULL);
                if (client >= 0) {
                    FD_SET(client, &all);
                    most = client > most ? client : most;
                }
                continue;
            }
            modbus_set_socket(ctx, fd);
            int length = modbus_receive(ctx, query);
            if (length > 0)
                modbus_reply(ctx, query, length, map);
            else if (length < 0) {
                close(fd);
                FD_CLR(fd, &all);
            }
        }
    }
}

int main(void)
{
    modbus_mapping_t *map = modbus_mapping_new(PLACES, PLACES, PLACES, PLACES);
    modbus_t *ctx = modbus_new_tcp("127.0.0.1", 0);
    struct sockaddr_in at;
    socklen_t size = sizeof at;
    int listener;

    if (!map || !ctx || fill(map) || (listener = modbus_tcp_listen(ctx, 16)) < 0)
        return 1;
    if (getsockname(listener, (struct sockaddr *)&at, &size))
        return 1;
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return serve(ctx, listener, map);
}

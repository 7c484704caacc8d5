/* A Modbus server made of libmodbus: "table address value" lines on stdin up to "go" in, its TCP port on stdout out.
 *
 * Started with a serial port, a baud rate and a unit it serves that unit as RTU there, and prints 0 once it is open.
 * table is h (holding), i (input), c (coil) or d (discrete); every table has 1,000 places, what lies beyond answers
 * with exception 2. Registers are given raw, so no conversion of libmodbus comes between. Ends when stdin closes.
 */
#include <arpa/inet.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
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

static int serve(modbus_t *ctx, int listener, int line, modbus_mapping_t *map)
{
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    fd_set all, ready;
    int most = listener > line ? listener : line;

    FD_ZERO(&all);
    FD_SET(STDIN_FILENO, &all);
    FD_SET(most, &all);
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
            else if (length < 0 && fd != line) {
                close(fd);
                FD_CLR(fd, &all);
            }
        }
    }
}

static int open_line(modbus_t *ctx, int unit)
{
    return !ctx || modbus_set_slave(ctx, unit) || modbus_connect(ctx) ? -1 : modbus_get_socket(ctx);
}

int main(int argc, char **argv)
{
    modbus_mapping_t *map = modbus_mapping_new(PLACES, PLACES, PLACES, PLACES);
    int rtu = argc == 4;
    modbus_t *ctx = rtu ? modbus_new_rtu(argv[1], atoi(argv[2]), 'N', 8, 1) : modbus_new_tcp("127.0.0.1", 0);
    struct sockaddr_in at = {0};
    socklen_t size = sizeof at;
    int listener = -1, line = -1;

    if (!map || !ctx || fill(map))
        return 1;
    if (rtu && (line = open_line(ctx, atoi(argv[3]))) < 0)
        return 1;
    if (!rtu && ((listener = modbus_tcp_listen(ctx, 16)) < 0 || getsockname(listener, (struct sockaddr *)&at, &size)))
        return 1;
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return serve(ctx, listener, line, map);
}

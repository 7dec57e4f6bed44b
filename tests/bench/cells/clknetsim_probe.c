/* Asks node 2 of a simulation for the time, again and again, from a node with a perfect clock next to it.
 *
 * clknetsim_probe INTERVAL: a line for each answer: the time in seconds, by how much the server is ahead, what it
 * promises (root delay / 2 + root dispersion), and 1 if it says that it is synchronised, 0 if not.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NTP_EPOCH 2208988800.0

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static uint32_t word(const unsigned char *packet, int offset) {
    uint32_t value;
    memcpy(&value, packet + offset, 4);
    return ntohl(value);
}

/* A time stamp of a packet as seconds after an instant near it: the whole would have no digits left for nanoseconds. */
static double after(const unsigned char *packet, int offset, double start) {
    return ((double)word(packet, offset) - NTP_EPOCH - start) + (double)word(packet, offset + 4) / 4294967296.0;
}

static int wait_for(int fd, double seconds) {
    struct timeval left = {(time_t)seconds, (suseconds_t)(1e6 * (seconds - (double)(time_t)seconds))};
    fd_set set;
    FD_ZERO(&set);
    if (fd >= 0)
        FD_SET(fd, &set);
    return select(fd + 1, fd >= 0 ? &set : NULL, NULL, NULL, &left);
}

int main(int argc, char **argv) {
    double interval = argc > 1 ? atof(argv[1]) : 16.0, began = now(), next = began;
    double second = (double)(time_t)began;
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(123)};
    inet_pton(AF_INET, "192.168.123.2", &server.sin_addr);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    for (;;) {
        unsigned char packet[128] = {0x23};
        next += interval;
        wait_for(-1, next - now());
        packet[40] = 1; /* some transmit time stamp */
        struct timespec asked;
        clock_gettime(CLOCK_REALTIME, &asked);
        double sent = ((double)asked.tv_sec - second) + 1e-9 * (double)asked.tv_nsec;
        sendto(fd, packet, 48, 0, (struct sockaddr *)&server, sizeof server);
        if (wait_for(fd, interval / 2) <= 0 || recv(fd, packet, sizeof packet, 0) < 48)
            continue;
        double ahead = (after(packet, 32, second) + after(packet, 40, second)) / 2 - sent;
        double bound = word(packet, 4) / 65536.0 / 2 + word(packet, 8) / 65536.0;
        int leap = packet[0] >> 6, stratum = packet[1];
        printf("%.3f %.9f %.9f %d\n", second + sent - began, ahead, bound, leap != 3 && stratum > 0 && stratum < 16);
        fflush(stdout);
    }
}

/* Loses a share of the UDP datagrams that a process is sent: LD_PRELOAD it, and set MAGMA_ROS_LOSS to a share of 1.
 *
 * A lost datagram is received and thrown away, and the call goes on as if it had never come. Which ones are lost is
 * drawn from a sequence that begins differently in each process. TCP is left alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static double share = -1.0;
static __thread unsigned int state;

static int lost(int socket_number) {
    int type = 0;
    socklen_t size = sizeof type;
    if (share < 0.0) {
        const char *text = getenv("MAGMA_ROS_LOSS");
        share = text ? atof(text) : 0.0;
    }
    if (getsockopt(socket_number, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_DGRAM) return 0;
    if (state == 0) state = (unsigned int)getpid() * 2654435761u + (unsigned int)(size_t)&state;
    return rand_r(&state) < share * RAND_MAX;
}

ssize_t recvmsg(int socket_number, struct msghdr *message, int flags) {
    static ssize_t (*real)(int, struct msghdr *, int);
    if (!real) real = (ssize_t (*)(int, struct msghdr *, int))dlsym(RTLD_NEXT, "recvmsg");
    const struct msghdr as_given = *message;
    ssize_t length;
    do {
        *message = as_given;
        length = real(socket_number, message, flags);
    } while (length >= 0 && lost(socket_number));
    return length;
}

ssize_t recvfrom(int socket_number, void *buffer, size_t size, int flags, struct sockaddr *sender, socklen_t *length) {
    static ssize_t (*real)(int, void *, size_t, int, struct sockaddr *, socklen_t *);
    if (!real) real = (ssize_t (*)(int, void *, size_t, int, struct sockaddr *, socklen_t *))dlsym(RTLD_NEXT, "recvfrom");
    const socklen_t as_given = length ? *length : 0;
    ssize_t received;
    do {
        if (length) *length = as_given;
        received = real(socket_number, buffer, size, flags, sender, length);
    } while (received >= 0 && lost(socket_number));
    return received;
}

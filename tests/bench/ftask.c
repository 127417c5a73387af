/* ftask NAME FILE: appends "NAME NANOSECONDS" (CLOCK_REALTIME) to FILE, and ends. What a schedule starts. */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct timespec now;
    char line[256];
    clock_gettime(CLOCK_REALTIME, &now);
    if (argc != 3)
        return 2;
    int length = snprintf(line, sizeof line, "%s %lld\n", argv[1], now.tv_sec * 1000000000LL + now.tv_nsec);
    int file = open(argv[2], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    return file < 0 || write(file, line, length) != length;
}

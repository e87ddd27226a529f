/* Instructions of the calling process, in user space, as the kernel counts them (perf_event_open(2)): of a loop of
 * 2 x 20,000,000, and of 16 memset of 1 MiB. Prints one number a line, each twice; exits with 1 where it cannot count.
 */
#define _GNU_SOURCE
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned char bytes[1u << 20];

static void loop(void)
{
    uint64_t left = 20000000;
    __asm__ volatile("1: subs %0, %0, #1\n b.ne 1b\n" : "+r"(left) : : "cc");
}

static void fill(void)
{
    for (int value = 0; value < 16; value++) {
        memset(bytes, value, sizeof bytes);
        __asm__ volatile("" : : "r"(bytes) : "memory");
    }
}

static int count(int counter, void (*work)(void))
{
    uint64_t instructions = 0;

    if (ioctl(counter, PERF_EVENT_IOC_RESET, 0) || ioctl(counter, PERF_EVENT_IOC_ENABLE, 0)) {
        return 1;
    }
    work();
    if (ioctl(counter, PERF_EVENT_IOC_DISABLE, 0) ||
        read(counter, &instructions, sizeof instructions) != (ssize_t)sizeof instructions) {
        return 1;
    }
    printf("%llu\n", (unsigned long long)instructions);
    return 0;
}

int main(void)
{
    struct perf_event_attr event = {.type = PERF_TYPE_HARDWARE, .size = sizeof event,
                                    .config = PERF_COUNT_HW_INSTRUCTIONS, .disabled = 1,
                                    .exclude_kernel = 1, .exclude_hv = 1};
    int counter = (int)syscall(SYS_perf_event_open, &event, 0, -1, -1, 0);

    fill(); /* memory is there before it is counted */
    return counter < 0 || count(counter, loop) || count(counter, loop) || count(counter, fill) ||
           count(counter, fill);
}

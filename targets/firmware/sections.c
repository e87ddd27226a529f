#include "sections.h"

#include <stdint.h>

extern uint32_t link_data_load[], link_data_start[], link_data_end[], link_bss_start[], link_bss_end[];

void sections_fill(void) {
    const uint32_t *value = link_data_load;
    for (uint32_t *word = link_data_start; word < link_data_end; word++) {
        *word = *value++;
    }
    for (uint32_t *word = link_bss_start; word < link_bss_end; word++) {
        *word = 0;
    }
}

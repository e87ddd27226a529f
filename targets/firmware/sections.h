/* sections.h - what sections.ld lays out, made ready. */
#ifndef SECTIONS_H
#define SECTIONS_H

/* Gives .data its first values and clears .bss. To be called before anything else runs. */
void sections_fill(void);

#endif

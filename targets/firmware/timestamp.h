/* timestamp.h - the moments between which a runner measures. */
#ifndef TIMESTAMP_H
#define TIMESTAMP_H

/* Says which kind there are, and gives the first. */
void timestamp_start(void);

/* m-lap-us-N; built for energy (TK_ENERGY), a pulse of board_pin and no text. */
void timestamp(char *rest);

#endif

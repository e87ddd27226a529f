/* infer.h - inferences and their results, as MLPerf Tiny asks for them. */
#ifndef INFER_H
#define INFER_H

/* "infer N W": every inference is of what is loaded, straight from the buffer. */
void infer(char *rest);

/* "results" of the last inference. */
void infer_results(char *rest);

#endif

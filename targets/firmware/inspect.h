/* inspect.h - what MLPerf Tiny does not ask: what the model is, what one inference takes, its exact codes. */
#ifndef INSPECT_H
#define INSPECT_H

void inspect_model(char *rest);
void inspect_count(char *rest);
void inspect_layers(char *rest);
void inspect_output(char *rest);

#endif

"""The C door out: portable C99 with a static arena, no interpreter, no malloc."""

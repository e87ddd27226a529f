"""Tables of measurements. Knows only `measurement`."""

"""What a device was like before, during and after a run, and whether its figures can be trusted for it."""

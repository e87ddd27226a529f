"""The static arena: what lies where in memory, and when; planned here, so that a device allocates nothing."""

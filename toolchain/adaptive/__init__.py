"""Adaptive networks: how sure a stage of a chain is, when that suffices, and the chains themselves."""

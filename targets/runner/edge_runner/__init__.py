"""edge-runner in Python: for a device whose user has a runtime there."""

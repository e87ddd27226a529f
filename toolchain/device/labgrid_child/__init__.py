"""What device/labgrid.py runs in labgrid's environment; it knows nothing of the toolchain."""

"""The model in flight: numpy only, no files, no frameworks."""

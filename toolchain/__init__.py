"""Take a trained network to a device: load, prune, quantize, lower, deploy, measure."""

__version__ = "0.1.0"

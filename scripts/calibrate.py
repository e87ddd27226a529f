"""Calibrate alone: a model and samples in, the statistics of its activations out. As `edge calibrate`.

calibrate.py MODEL --data D --out stats.json [--observer minmax] [--samples 100] ...     --help: all options
"""

import sys

from toolchain.cli import app

if __name__ == "__main__":
    app(["calibrate", *sys.argv[1:]], prog_name="calibrate.py")

"""`python -m toolchain` is the command `edge`."""
import sys

from toolchain.cli import main

sys.exit(main())

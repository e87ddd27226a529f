"""Make the emulated devices' image where the user's cache has none; --update: of today's packages."""

import argparse
import sys

from toolchain.device.machines.image import obtain_image, update_image
from toolchain.errors import ToolchainError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m toolchain.device.machines", description=__doc__)
    parser.add_argument("--update", action="store_true", help="look what packages Debian has today")
    arguments = parser.parse_args()
    try:
        image = update_image() if arguments.update else obtain_image()
    except ToolchainError as error:
        print(f"machines: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{image.folder}: Linux {image.contents.kernel}, {len(image.contents.packages)} packages, "
          f"{len(image.contents.wheels)} runtimes")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A C library for a device that has another: Debian's loader and libraries, pushed and started by name.

    LOADER --library-path FOLDERS PROGRAM ...        ld.so(8)

The kernel loads nothing by itself then, so that neither the loader's usual place nor the device's own C
library (Android's is bionic) matters. Nothing of this ever ran on a phone.
"""

from collections.abc import Mapping
from pathlib import Path

from toolchain.errors import DeviceUnavailable, Unsupported

LOADER = {"aarch64": "ld-linux-aarch64.so.1"}
"""isa -> the dynamic loader's name, which programs and libraries for it ask for, too."""
LIBRARIES = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libgcc_s.so.1",
             "libstdc++.so.6")
"""What edge-runner and the runtimes' libraries ask for."""
FOLDERS = {"aarch64": (Path("/usr/aarch64-linux-gnu/lib"), Path("/lib/aarch64-linux-gnu"))}
"""Where Debian's cross packages put them, and where they are on that processor itself."""
PACKAGES = "libc6-arm64-cross libgcc-s1-arm64-cross libstdc++6-arm64-cross"


def glibc_files(isa: str) -> dict[str, bytes]:
    """Names and contents of what is to be pushed; the loader is to be executable.

    Raises Unsupported for an isa that no runtime's library is published for, DeviceUnavailable where files
    are missing.
    """
    if isa not in LOADER:
        raise Unsupported(f"no library of LiteRT is published for {isa}, so none is loaded there")
    names = (LOADER[isa], *LIBRARIES)
    for folder in FOLDERS[isa]:
        if all((folder / name).is_file() for name in names):
            return {name: (folder / name).read_bytes() for name in names}
    raise DeviceUnavailable(f"the GNU C library for {isa} is not here; apt install {PACKAGES}")


def through_loader(isa: str, paths: Mapping[str, str], *others: str) -> list[str]:
    """The words that come before a program's own.

    paths:  name -> path on the device of what glibc_files named
    others: paths of further libraries there, such as a runtime's
    """
    libraries = [paths[name] for name in (LOADER[isa], *LIBRARIES)] + list(others)
    folders = dict.fromkeys(path.rpartition("/")[0] for path in libraries)
    return [paths[LOADER[isa]], "--library-path", ":".join(folders)]

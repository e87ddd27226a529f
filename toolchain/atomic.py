"""Files that are there whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
import tempfile

from toolchain.errors import BadInput


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place beside `path` to write to, which takes its name when all went well; its folder is made.

    Raises BadInput where `path` is a folder.
    """
    if path.is_dir():
        raise BadInput(f"{path}: is a folder; name the file to write")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        unfinished = Path(folder, f"unfinished{path.suffix}")
        yield unfinished
        unfinished.replace(path)

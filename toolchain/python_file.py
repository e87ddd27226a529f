"""What a user's own Python file makes: it runs because the user names it."""

from collections.abc import Iterator
from contextlib import contextmanager
import hashlib
import importlib.util
from pathlib import Path
import sys
from types import ModuleType

from toolchain.errors import BadInput, ToolchainError


def call_function(spec: str) -> object:
    """Import the file of "file.py:function" and return what its function, called without arguments, gives.

    Raises BadInput: no such file or function, or the file or function raised.
    """
    with named_in(spec) as found, blaming(spec):
        if not callable(found):
            raise BadInput(f"{spec.rpartition(':')[0]}: has no function '{spec.rpartition(':')[2]}'")
        return found()


@contextmanager
def named_in(spec: str) -> Iterator[object]:
    """Import the file of "file.py:name" and give what it calls so, None where it has no such name.

    The file's folder is on the import path meanwhile, as when Python runs the file itself.
    Raises BadInput where there is no such file, or where it raised.
    """
    path, _, name = spec.rpartition(":")
    file = Path(path)
    if not path.endswith(".py") or not name:
        raise BadInput(f"{spec}: Python of your own is named as file.py:function")
    if not file.is_file():
        raise BadInput(f"{file}: no such file")
    with _importable(file.resolve().parent):
        with blaming(spec):
            module = _import(file)
        yield getattr(module, name, None)


@contextmanager
def blaming(spec: str) -> Iterator[None]:
    """What the user's own code raises inside becomes BadInput that names `spec`."""
    try:
        yield
    except ToolchainError:
        raise
    except (Exception, SystemExit) as error:
        line = (str(error).strip().splitlines() or [""])[0]
        raise BadInput(f"{spec}: {type(error).__name__}: {line}") from error


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _import(file: Path) -> ModuleType:
    """The file as a module under a name of its own, so that two model.py do not meet."""
    name = f"edge_{file.stem}_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up here
    spec.loader.exec_module(module)
    return module

"""Calls a function of a user's own Python file."""

from collections.abc import Iterator
from contextlib import contextmanager
import hashlib
import importlib.util
from pathlib import Path
import sys
from types import ModuleType

from toolchain.errors import BadInput


def call_function(spec: str) -> object:
    """Import the file of "file.py:function" and return what its function, called without arguments, gives.

    The file's folder is on the import path meanwhile, as when Python runs the file itself.
    Raises BadInput: no such file or function, or the file or function raised.
    """
    path, _, function = spec.rpartition(":")
    file = Path(path)
    if not path.endswith(".py") or not function:
        raise BadInput(f"{spec}: a PyTorch model is named as file.py:function")
    if not file.is_file():
        raise BadInput(f"{file}: no such file")
    with _importable(file.resolve().parent):
        found = getattr(_run(spec, lambda: _import(file)), function, None)
        if not callable(found):
            raise BadInput(f"{file}: has no function '{function}'")
        return _run(spec, found)


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


def _run(spec: str, function):
    try:
        return function()
    except BadInput:
        raise
    except (Exception, SystemExit) as error:
        line = (str(error).strip().splitlines() or [""])[0]
        raise BadInput(f"{spec}: {type(error).__name__}: {line}") from error

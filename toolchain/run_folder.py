"""The folder of a run that can be gone on with: what it is of, and what it has made so far."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from toolchain.atomic import replacing
from toolchain.errors import BadInput
from toolchain.graph_file import read_graph, write_graph
from toolchain.ir.graph import Graph

OWNER = "run.json"
"""What the run is of."""


@dataclass(frozen=True)
class RunFolder:
    """path: of the folder, or None: then nothing is kept"""

    path: Path | None

    def claim(self, identity: Callable[[], Mapping[str, str]]) -> None:
        """Write into it what it is of. Raises BadInput where it is another run's."""
        if self.path is None:
            return
        self.path.mkdir(parents=True, exist_ok=True)
        own, place = msgspec.json.encode(identity()), self.path / OWNER
        if not place.exists():
            with replacing(place) as unfinished:
                unfinished.write_bytes(own)
        elif place.read_bytes() != own:
            raise BadInput(f"{self.path}: holds a run of another model, recipe or target, or of other "
                           f"samples; delete it, or write to another place")

    def within(self, name: str) -> Path | None:
        """A folder in it, or None."""
        return self.path and self.path / name

    def remember(self, name: str, make: Callable[[], Graph]) -> Graph:
        """What was made before, or is made now."""
        if self.path is None:
            return make()
        path = self.path / f"{name}.graph"
        if not path.exists():
            write_graph(path, make())
        return read_graph(path)

    @property
    def has_trained(self) -> bool:
        """Whether it holds what took training."""
        return any(path.is_file() and path.suffix != ".json" and not path.name.startswith("pruned")
                   for path in self.path.rglob("*"))

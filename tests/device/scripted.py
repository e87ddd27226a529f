"""A board whose runner is scripted: it answers as the artefact should, and times are what the test says."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from toolchain.artifact import Artifact
from toolchain.device.boards import Board
from toolchain.device.place import Place
from toolchain.device.runner.samples import pack
from toolchain.device.transports.transport import Finished
from toolchain.port import convert
from toolchain.profile import load_target

HEAD = "edge-runner 1\nruntime Scripted 1.0\ninput x int8 1\noutput y int8 1\nload_ns 2000000\n"
BEGAN_NS = 50_000_000_000


@dataclass
class Runner:
    """A Transport.

    times_us: of every inference that is told in a timed run, of the CPU, too; gap_us: between two
    every:    one of so many is told
    own:      facts that end a timed run's record: instructions, cycles ...
    outputs:  what mode `run` writes
    asked:    command lines, in order
    """

    outputs: bytes
    times_us: Sequence[float] = (100.0,) * 60
    every: int = 1
    gap_us: float = 1.0
    own: dict[str, int] = field(default_factory=dict)
    ops: str = "op 0 CONV conv 5000 10\n"
    name: str = "far"
    folder: str = "/home/pi/.edge"
    asked: list[list[str]] = field(default_factory=list)
    pushed: dict[str, bytes] = field(default_factory=dict)

    def push(self, files, executable=()):
        self.pushed |= files
        return {name: f"{self.folder}/files/0/{name}" for name in files}

    def start(self, argv, *, seconds, environment=None, most_bytes=0) -> Finished:
        words = list(argv)
        self.asked.append(words)
        mode = next((word for word in ("run", "time", "profile") if word in words), "")
        if not mode:
            return Finished(1 if words[0] in ("grep", "ls", "rm") else 127, b"", b"not there")
        return Finished(0, (HEAD + getattr(self, f"_{mode}")(words) + "end\n").encode(), b"")

    def read(self, path, most_bytes=0) -> bytes:
        return self.outputs

    def _run(self, words) -> str:
        return "first_ns 900000\ninferences 4\n"

    def _time(self, words) -> str:
        walls = [round(1000 * us) for us in self.times_us]
        steps = np.cumsum([0, *(self.every * (wall + round(1000 * self.gap_us)) for wall in walls)])
        lines = [f"first_ns {walls[0]}", f"began_ns {BEGAN_NS}", f"ended_ns {BEGAN_NS + steps[-1]}",
                 f"inferences {self.every * len(walls)}", f"every {self.every}",
                 *(f"sample {start} {wall} {wall}" for start, wall in zip(steps, walls)),
                 "vm_hwm_kb 4096", *(f"{key} {value}" for key, value in self.own.items())]
        return "\n".join(lines) + "\n"

    def _profile(self, words) -> str:
        return f"first_ns 900000\ninferences 10\n{self.ops}"


def answering(artifact: Artifact, fmt: str, **facts) -> Runner:
    """Whose outputs are the test vectors'."""
    port, name = artifact.manifest.outputs[fmt][0], artifact.manifest.outputs["graph"][0].name
    expected = convert(artifact.vectors[f"output/{name}"], artifact.manifest.outputs["graph"][0], port)
    return Runner(pack([port], {port.name: expected}), **facts)


def far(runner: Runner, target: str = "raspberry_pi_4", **facts) -> Place:
    board = Board(target=target, transport="ssh", address="pi@10.9.8.7", name="far", **facts)
    return Place("far", load_target(target), board, runner)

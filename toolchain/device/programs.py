"""A model on a device that runs programs: a Linux board, a phone, this host. Each call is a process there."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
import secrets
import sys

import numpy as np

from toolchain.artifact import MODEL_FILE, Artifact
from toolchain.device.android import NDK_LEVEL, ndk_compiler, own_library
from toolchain.device.clock import raw_clock_s
from toolchain.device.glibc import LOADER, glibc_files, through_loader
from toolchain.device.place import Place
from toolchain.device.runner.command import command, complaint
from toolchain.device.runner.native import PYTHON_RUNNER, RUNNER, build_runner, python_runner
from toolchain.device.runner.record import MOST_BYTES, Record, parse
from toolchain.device.runner.samples import pack, port_bytes, unpack
from toolchain.device.runner.wheels import runtime_library
from toolchain.device.ways import BIONIC, GLIBC, NATIVE, PYTHON, Way
from toolchain.errors import BadModel, BadReply, DeviceExhausted, DeviceUnavailable, RuntimeMissing
from toolchain.port import Port
from toolchain.runtime.feeds import sample_count

INPUT = "input.bin"
FASTEST, CLOCK_STEP_S = 1.01, 0.02
"""A device's clock against ours, generously: a crystal is right to 0.05 %; and the coarsest step of one."""
PATIENCE_S, EMULATED_PATIENCE_S = 120.0, 1800.0
"""Beside the seconds that inferences are asked to take: starting, loading, what samples need."""
CLOCK_S, CLEAR_S = 20.0, 60.0
BATCH_BYTES = 32 * 2**20
KEPT_BYTES = 2**20
"""Samples of more than this do not stay on the device."""
MOST_TOLD = 1_000_000
"""Inferences of a run that are told."""
KILLED = 137
"""128 + SIGKILL: what a kernel without memory does to the process that takes most."""
REFUSALS = {3: BadModel, 4: DeviceExhausted, 5: RuntimeMissing, KILLED: DeviceExhausted}
"""Exit code of the runner -> what it means; any other is a BadReply."""


class ProgramSession:
    """One of an artefact's files on a device, in one of the ways that it runs there.

    runtime:    with its version, as the runner tells it
    file_bytes: of what was pushed for it and no other model needs: the model file, or the program with its C
    at_once:    samples that one process is given: BATCH_BYTES of them, of inputs or of outputs
    """

    def __init__(self, place: Place, artifact: Artifact, way: Way, threads: int = 1):
        self.place, self.way, self.runtime = place, way, way.runtime
        self.inputs: tuple[Port, ...] = artifact.manifest.inputs[way.fmt]
        self.outputs: tuple[Port, ...] = artifact.manifest.outputs[way.fmt]
        self._artifact, self.transport = artifact, place.transport
        self._keys: dict[str, str | int] = {"threads": threads}
        self.at_once = max(1, BATCH_BYTES // max(map(_sample_bytes, (self.inputs, self.outputs))))
        self._library = ""
        self._program, self._model, self.file_bytes = self._push()

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Every output for N samples, stacked. Raises BadSamples, and what a transport raises."""
        firsts = range(0, sample_count(self.inputs, feeds), self.at_once)
        parts = [self._run({name: values[first:first + self.at_once] for name, values in feeds.items()})
                 for first in firsts]
        return {port.name: np.concatenate([part[port.name] for part in parts]) for port in self.outputs}

    def _run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """In one process."""
        with self._temporary() as output:
            self._start("run", feeds, output=output)
            return unpack(self.outputs, self.transport.read(output), sample_count(self.inputs, feeds))

    def time(self, feeds: Mapping[str, np.ndarray], seconds: float, least: int,
             watch: Sequence[str] = (), every: int = 1) -> Record:
        """Inferences one after another, on the samples in turn, each timed.

        watch: files of the device that are read between inferences
        every: the first of so many in a row is told; all of them count
        """
        return self._start("time", feeds, watch, seconds=float(seconds), least=least, every=every,
                           most=every * MOST_TOLD)

    def profile(self, feeds: Mapping[str, np.ndarray], seconds: float) -> Record:
        """Ops, timed by the runtime's own profiler, or layers of generated C.

        Raises BadReply where the runtime has none (Way.profiles).
        """
        if self.way.fmt == "c":
            return self._start("profile", feeds, program=self._layered_runner(), seconds=float(seconds))
        with self._temporary() as scratch:
            return self._start("profile", feeds, seconds=float(seconds), scratch=scratch)

    def compare(self, feeds: Mapping[str, np.ndarray], other: "ProgramSession",
                others: Mapping[str, np.ndarray], *, first: int, pairs: int, block_us: int) -> Record:
        """Blocks of inferences of both models in turn, in one process that loads this one first.

        first: 0 or 1, which of the two begins; pairs, block_us: how many blocks of each, and their length
        """
        samples = self.transport.push({INPUT: pack(other.inputs, others)})[INPUT]
        return self._start("compare", feeds, other=other._model, other_input=samples, first=first,
                           pairs=pairs, block_us=block_us)

    def remove_model(self) -> None:
        """Off the device: of a model that is not run again."""
        if self._model != "-":
            self._remove(self._model)

    def clock_s(self) -> float:
        """The device's CLOCK_MONOTONIC_RAW."""
        done = self.transport.start([*self._program, "clock"], seconds=CLOCK_S)
        return parse(done.stdout, "clock").clock / 1e9

    def _push(self) -> tuple[list[str], str, int]:
        """Everything that is needed there: the program's first words, the model's path, its bytes."""
        files = self._native_files() if self.way.runner == NATIVE else {PYTHON_RUNNER: python_runner()}
        model = {} if self.way.fmt == "c" else {MODEL_FILE[self.way.fmt]: self._artifact.model(self.way.fmt)}
        loader = LOADER.get(self.place.isa, "")
        paths = self.transport.push({**files, **model}, executable=files.keys() & {RUNNER, loader})
        if self._library:
            self._keys["library"] = paths[self._library]
        program = [paths[RUNNER]] if RUNNER in files else [self._python(), paths[PYTHON_RUNNER]]
        if self.way.libc == GLIBC:
            program = [*through_loader(self.place.isa, paths, self._keys["library"]), *program]
        own = next(iter(model.values()), files.get(RUNNER, b""))
        return program, next((paths[name] for name in model), "-"), len(own)

    def _layered_runner(self) -> list[str]:
        """One with the network's C in it that tells the time of each layer, and is slower for it."""
        program = build_runner(self.place.isa, "c", self._artifact.files, layers=True)
        return [self.transport.push({RUNNER: program}, executable=[RUNNER])[RUNNER]]

    def _native_files(self) -> dict[str, bytes]:
        """Our runner, with the network's C in it, or the runtime's library and what that needs beside it."""
        isa, runtime = self.place.isa, self.way.runtime
        if runtime == "c":
            return {RUNNER: build_runner(isa, runtime, self._artifact.files)}
        if self.way.libc == BIONIC:
            name, library = own_library(self.place.board, isa)
            runner = build_runner(isa, runtime, compiler=ndk_compiler(isa, NDK_LEVEL), library=library)
        else:
            name, library = runtime_library(runtime, isa)
            runner = build_runner(isa, runtime)
        self._library = name
        return {RUNNER: runner, name: library, **(glibc_files(isa) if self.way.libc == GLIBC else {})}

    def _python(self) -> str:
        named = self.place.board.python if self.place.board else ""
        return named or (sys.executable if self.place.here else "python3")

    def _start(self, mode: str, feeds: Mapping[str, np.ndarray], watch: Sequence[str] = (),
               program: Sequence[str] = (), **keys: str | int | float) -> Record:
        """program: instead of the usual one"""
        content = pack(self.inputs, feeds)
        samples = self.transport.push({INPUT: content})[INPUT]
        argv = command(program or self._program, self.way.runtime, mode, self._model, watch=watch,
                       input=samples, **self._keys, **keys)
        patience = EMULATED_PATIENCE_S if self.place.emulated else PATIENCE_S
        seconds = keys.get("seconds", 0) + patience
        began_s = raw_clock_s()
        try:
            done = self.transport.start(argv, seconds=seconds, most_bytes=MOST_BYTES)
        finally:
            if len(content) > KEPT_BYTES:
                self._remove(samples)
        if done.code:
            raise self._refused(done.code, done.stderr)
        record = parse(done.stdout, mode)
        if not self.place.emulated:
            self._require_possible(record, raw_clock_s() - began_s)
        self.runtime = record.runtime
        return record

    def _require_possible(self, record: Record, waited_s: float) -> None:
        """Raises BadReply for more time than has passed here, whatever the device's clock is."""
        told_s = ((record.load_ns or 0) + (record.ended_ns or 0) - (record.began_ns or 0)) / 1e9
        if told_s > FASTEST * waited_s + CLOCK_STEP_S:
            raise BadReply(f"{self.place.name}: its runner tells of {told_s:.4g} s within {waited_s:.4g} s "
                           f"of this host's clock; the device's clock is wrong, or its record is")

    def _refused(self, code: int, said: bytes) -> Exception:
        """What an exit code means, in the runner's words."""
        remedy = ""
        if code == 5 and self.way.runner == PYTHON:
            remedy = "; install it there, name its `python` in boards.toml, or take the native runner"
        if code == KILLED:
            remedy = ": it was killed there, as for want of memory; end what else runs there"
        return REFUSALS.get(code, BadReply)(
            f"{self._artifact.manifest.name} as {self.way} on {self.place.name}: {complaint(said)} "
            f"(code {code}){remedy}")

    @contextmanager
    def _temporary(self) -> Iterator[str]:
        """A path for a file of one call's."""
        path = f"{self.transport.folder}/runs/{secrets.token_hex(8)}"
        try:
            yield path
        finally:
            self._remove(path)

    def _remove(self, path: str) -> None:
        """A device that is gone keeps it, and the error that there was."""
        with suppress(DeviceUnavailable):
            self.transport.start(["rm", "-f", path], seconds=CLEAR_S)


def _sample_bytes(ports: Sequence[Port]) -> int:
    return sum(map(port_bytes, ports))

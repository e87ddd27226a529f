"""The runner of targets/runner/, built here for a device's processor, in C or as an archive of Python."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
import io
from pathlib import Path
import platform
import shutil
import zipfile

from toolchain.device.cache import cache_folder, kept
from toolchain.device.firmware import ModelFacts, model_facts, own_files
from toolchain.device.objects import compile_units, described, run
from toolchain.errors import BadInput, DeviceUnavailable, Unsupported
from toolchain.profile import TARGETS

SOURCES = TARGETS / "runner"
RUNNER, PYTHON_RUNNER = "edge-runner", "edge_runner.pyz"
FLAGS = ("-std=c99", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64", "-Wall", "-Wextra", "-ffunction-sections",
         "-fdata-sections", "-fno-asynchronous-unwind-tables", "-fno-ident")
LINK = ("-s", "-Wl,--gc-sections", "-Wl,--build-id=none", "-Wl,-z,noseparate-code")
SMALL, FAST = "-Os", "-O3"
"""For the runner, and for a network's kernels: gcc makes vectors of their loops."""
LIBRARIES = ("litert.c", "onnxruntime.c", "trace.c", "library.c")
"""Of the runner that loads a runtime's library; generated.c is of the one with a network's own C."""


@dataclass(frozen=True)
class Processor:
    """compiler, packages: gcc for it elsewhere than on itself, and what Debian calls that
    runtimes:           whose libraries there are for it, beside "c"
    cflags:             what a network's kernels may count on
    """

    compiler: str
    packages: str
    runtimes: tuple[str, ...] = ()
    cflags: tuple[str, ...] = ()


PROCESSORS = {
    "x86_64": Processor("x86_64-linux-gnu-gcc", "gcc libc6-dev", ("litert", "onnxruntime")),
    "aarch64": Processor("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
                         ("litert", "onnxruntime")),
    "armv7-a": Processor("arm-linux-gnueabihf-gcc", "gcc-arm-linux-gnueabihf libc6-dev-armhf-cross",
                         cflags=("-mfpu=neon",)),
}
"""A profile's isa -> how programs for it are made. armv7-a: hard float and Thumb-2 as Debian's armhf has,
NEON as the Android NDK has since r21."""
MACHINES = {"x86_64": "x86_64", "aarch64": "aarch64", "armv7l": "armv7-a"}
"""uname -m -> isa."""


def build_runner(isa: str, runtime: str, files: Mapping[str, bytes] | None = None, *,
                 layers: bool = False, compiler: str = "", library: bytes | None = None) -> bytes:
    """The executable edge-runner; from the user's cache, where the same was built before.

    isa:     a key of PROCESSORS
    runtime: "litert" or "onnxruntime": one executable for both, which loads their library and needs glibc
             2.34; "c": one with the network linked in, static, for any Linux or Android
    files:   for "c": the artefact's
    layers:  for "c": told by layer in mode `profile`, which costs a call a layer in all others
    compiler: instead of gcc, for a library of the user's: the Android NDK's clang
    library:  for "litert": the user's own, taken at their word for one of LiteRT 2.3.0; else the wheel's only
    Raises Unsupported, BadInput where the artefact has no C, DeviceUnavailable without a compiler.
    """
    compiler = compiler or compiler_for(isa, runtime)
    model = _model_files(files or {}) if runtime == "c" else {}
    sources = {**_sources(runtime), **model}
    definitions = _definitions(model_facts(model) if model else None, layers, library)
    fast = (FAST, *PROCESSORS[isa].cflags)
    key = _key(compiler, (*FLAGS, *definitions, *fast), sources)
    place = kept(cache_folder() / "runners" / key,
                 lambda folder: _build(compiler, definitions, fast, sources, sorted(model), folder))
    return (place / RUNNER).read_bytes()


def compiler_for(isa: str, runtime: str) -> str:
    """gcc for a processor. Raises Unsupported, DeviceUnavailable where it is not installed."""
    return _compiler(isa, _processor(isa, runtime))


def python_runner() -> bytes:
    """edge_runner.pyz: what `python3 edge_runner.pyz` runs. The same bytes every time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted((SOURCES / "edge_runner").glob("*.py")):
            name = path.name if path.name == "__main__.py" else f"edge_runner/{path.name}"
            archive.writestr(zipfile.ZipInfo(name), path.read_bytes())
    return buffer.getvalue()


def _processor(isa: str, runtime: str) -> Processor:
    if isa not in PROCESSORS:
        raise Unsupported(f"no runner for '{isa}'; there is one for {', '.join(PROCESSORS)}")
    processor = PROCESSORS[isa]
    if runtime not in ("c", *processor.runtimes):
        raise Unsupported(f"no native runner for {runtime} on {isa}, for which its library is not published; "
                          f"there is one for {', '.join(('c', *processor.runtimes))}")
    return processor


def _sources(runtime: str) -> dict[str, bytes]:
    left_out = LIBRARIES if runtime == "c" else ("generated.c",)
    return {path.name: path.read_bytes() for path in sorted(SOURCES.glob("*.[ch]"))
            if path.name not in left_out}


def _model_files(files: Mapping[str, bytes]) -> dict[str, bytes]:
    model = {name: data for name, data in files.items()
             if name.endswith((".c", ".h")) and name not in ("selftest.c", "usage.c")}
    facts = model_facts(model)
    if facts.regions:
        raise Unsupported(f"the C was made for memory in several regions ({', '.join(facts.regions)}); "
                          f"build it for a Linux or Android target")
    if clash := _sources("c").keys() & model.keys():
        raise BadInput(f"the artefact has files of the runner's names: {', '.join(sorted(clash))}")
    return model


def _definitions(facts: ModelFacts | None, layers: bool, library: bytes | None) -> tuple[str, ...]:
    if facts is None:
        return (f'-DLITERT_SHA256="{sha256(library).hexdigest()}"',) if library else ()
    told = ("-DTK_LAYERS", f"-DTK_LAYER_NAMES={facts.symbol}_layers",
            f"-DTK_LAYER_COUNT={facts.symbol}_layer_count") if layers else ()
    return (f"-DTK_MODEL={facts.symbol}_model", *told)


def _compiler(isa: str, processor: Processor) -> str:
    names = ("gcc", "cc") if MACHINES.get(platform.machine()) == isa else (processor.compiler,)
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise DeviceUnavailable(f"{names[0]}, which makes programs for {isa}, is not installed; "
                                f"apt install {processor.packages}")
    return found


def _key(compiler: str, options: Sequence[str], sources: Mapping[str, bytes]) -> str:
    """A name for what comes of all this."""
    parts = [described(compiler), "\n".join((*options, *LINK, SMALL)).encode()]
    parts += [part for name, data in sorted(sources.items()) for part in (name.encode(), data)]
    return sha256(b"".join(sha256(part).digest() for part in parts)).hexdigest()[:32]


def _build(compiler: str, definitions: Sequence[str], fast: Sequence[str], sources: Mapping[str, bytes],
           model: Sequence[str], folder: Path) -> None:
    for name, data in sources.items():
        (folder / name).write_bytes(data)
    kernels = [name for name in model if name.endswith(".c")]
    others = sorted(name for name in sources if name.endswith(".c") and name not in kernels)
    form = () if kernels else ("-fPIE",)
    for level, units in ((fast, kernels), ((SMALL,), others)):
        flags = [*FLAGS, *form, *level]
        _require(compiler, compile_units(compiler, flags, definitions, units, folder, own_files(model)))
    objects = sorted(path.name for path in folder.glob("*.o"))
    linked = ["-static"] if kernels else ["-pie", "-ldl"]
    _require(compiler, run(compiler, ["-o", RUNNER, *objects, *linked, *LINK], folder))
    for path in folder.iterdir():
        if path.name != RUNNER:
            path.unlink()


def _require(compiler: str, failure: str) -> None:
    """Raise DeviceUnavailable where the compiler complains."""
    if failure:
        errors = [line for line in failure.splitlines() if "error" in line or "undefined" in line]
        raise DeviceUnavailable(f"{Path(compiler).name} cannot build the runner: "
                                f"{(errors or [failure[:300]])[0]}; is its libc6-dev installed?")

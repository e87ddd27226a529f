"""Imports only point downstairs, and each foreign package has its room. These tables are the architecture."""

import ast
from collections.abc import Iterator
from pathlib import Path
import subprocess
import sys

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "toolchain"

FLOORS = ("errors names templates pool",
          "ir tomlfile atomic npz python_file scheme section policy levels labels",
          "training_sections shape_sections adaptive_sections search_section file_sections input_section "
          "graph_file paired generation port",
          "profile recipe data metric measurement comparison cost_cell stages",
          "artifact preprocess cost_table", "runtime", "load chain", "prune quantize", "train",
          "lower adaptive", "execution shards input_checks features",
          "accuracy_control fitting identity search run_folder", "post_training budgets tuning", "shrinking",
          "device ledger", "examination package chain_building", "diagnose",
          "report", "suitability chaining vectors", "exits chain_bench side_by_side", "widths",
          "pipeline deploy inspection data_inspection conversion calibration doctor devices profiling",
          "diagnosis campaign comparing drawing mlperf pruning cascade",
          "trying starting levelling", "searching", "adapting", "cli")
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms.split()}

# A room that may know less than the floors below it.
KNOWS = {"device": {"errors", "names", "tomlfile", "atomic", "profile", "data", "measurement", "comparison",
                    "artifact", "port", "runtime"},
         "ledger": {"errors", "names", "atomic", "measurement", "pool"},
         "report": {"errors", "names", "atomic", "profile", "measurement", "artifact", "port",
                    "metric", "search"}}

# Where a foreign package may be imported: rooms, or single modules.
HOME = {
    "onnx": {"load", "lower"},
    "flatbuffers": {"load", "lower"},
    "ai_edge_litert.schema_py_generated": {"load", "lower"},
    "ai_edge_litert": {"runtime/litert.py"},
    "onnxruntime": {"runtime/onnxruntime.py"},
    "tflite_micro": {"runtime/tflm.py", "runtime/tflm_arena.py"},
    "torch": {"load/torch.py", "load/torch_graph.py", "load/torch_program.py", "load/torch_archive.py",
              "load/torch_weights.py", "runtime/torch_module.py", "runtime/torch_forward.py",
              "runtime/additions.py", "prune", "quantize", "train"},
    "tensorflow": {"load/keras_child/network.py", "load/keras_child/untrusted.py"},
    "h5py": {"load/keras_child/network.py", "load/keras_child/untrusted.py"},
    "labgrid": {"device/labgrid_child/session.py"},
    "grpc": {"device/labgrid_child/session.py"},
    "serial": {"device"},
    "asyncssh": {"device/transports/ssh.py"},
    "joulescope": {"device/meters/joulescope.py"},
    "sqlalchemy": {"pool.py", "ledger", "search/study.py", "search/journal.py"},
    "optuna": {"search/study.py"},
    "typer": {"cli"},
}
HEAVY = ("torch", "onnx", "onnxruntime", "ai_edge_litert", "tflite_micro", "flatbuffers", "serial",
         "asyncssh", "joulescope", "sqlalchemy", "optuna", "tensorflow", "keras", "h5py", "labgrid", "grpc")

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or "__" not in path.name)


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """(place, dotted name) of everything the file imports, lazily or not. `from a import b` gives "a.b"."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: a relative import; write the whole name"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from ((f"{path.relative_to(PACKAGE)}:{node.lineno}", name) for name in names)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_point_downstairs(path):
    here = room_of(path)
    assert here in FLOOR, f"room '{here}' has no floor; give it one in FLOORS"
    for place, name in imports(path):
        if not name.startswith("toolchain.") or name == "toolchain.__version__":
            continue
        there = name.split(".")[1]
        assert there == here or FLOOR[there] < FLOOR[here], f"{place}: {here} imports {there}, not below it"
        assert there == here or there in KNOWS.get(here, FLOOR), f"{place}: {here} knows nothing of {there}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_foreign_packages_stay_in_their_rooms(path):
    here = path.relative_to(PACKAGE).as_posix()
    for place, name in imports(path):
        package = next((p for p in HOME if name == p or name.startswith(p + ".")), None)
        if package:
            assert HOME[package] & {here, room_of(path)}, f"{place}: {package} lives in {HOME[package]}"


def test_the_ground_floor_needs_numpy_only():
    foreign = {name.split(".")[0] for path in (PACKAGE / "ir").rglob("*.py") for _, name in imports(path)}
    assert foreign - sys.stdlib_module_names <= {"numpy", "toolchain"}


def loaded_by(module: str) -> set[str]:
    """Top-level packages that `import module` loads, in a fresh interpreter."""
    show = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_command_starts_without_numpy():
    assert not loaded_by("toolchain.cli") & {"numpy", *HEAVY}


@pytest.mark.parametrize("room", "load lower runtime prune quantize train device pipeline".split())
def test_heavy_packages_load_when_they_are_used(room):
    assert not loaded_by(f"toolchain.{room}") & set(HEAVY)

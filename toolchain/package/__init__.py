"""What a built network is handed on as: a library for somebody's project, in the form its tools expect."""

from collections.abc import Callable, Mapping
import json

from toolchain.artifact import Artifact
from toolchain.errors import BadInput
from toolchain.package import libraries, tflm
from toolchain.package.sources import Package

KINDS: Mapping[str, Callable[[Artifact], Package]] = {
    "folder": libraries.folder,
    "cmake": libraries.cmake,
    "arduino": libraries.arduino,
    "zephyr": libraries.zephyr,
    "tflite-micro": tflm.tflite_micro,
}
MARK = "edge_package.json"
"""Says what a package was made of; a folder that holds one may be written over."""


def package(artifact: Artifact, kind: str) -> Package:
    """The artefact's network as a key of KINDS. The same artefact gives the same bytes.

    Raises BadInput for an unknown kind, or an artefact without the files that it takes.
    """
    if kind not in KINDS:
        raise BadInput(f"no package is called '{kind}'; give --as {', '.join(KINDS)}")
    made, manifest = KINDS[kind](artifact), artifact.manifest
    mark = {"schema": "edge.package", "schema_version": 1, "kind": kind, "model": manifest.name,
            "target": manifest.target, "graph_digest": manifest.graph_digest,
            "artifact_digest": artifact.digest}
    return Package(made.name, {**made.files, MARK: json.dumps(mark, indent=2).encode() + b"\n"})

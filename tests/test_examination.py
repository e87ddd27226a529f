"""Answers are scored as the manifest says, or it is told what the manifest lacks."""

import msgspec
import numpy as np
import pytest

from tests.device.artifacts import residual
from toolchain.artifact import Artifact
from toolchain.data import Samples
from toolchain.device.boards import HOST
from toolchain.device.local import open_session
from toolchain.device.place import Place
from toolchain.errors import BadInput
from toolchain.examination import Exam, sit
from toolchain.profile import load_target

HERE = Place(HOST, load_target(HOST))


def exam(artifact: Artifact, folder: str = "") -> Exam:
    port, = artifact.manifest.inputs["graph"]
    x = np.zeros((4, *port.shape[1:]), np.float32)
    samples = Samples("set", {port.name: x}, np.zeros(4, np.int64), None, np.arange(4))
    return Exam(samples, "top1", f"{folder}set.npz", "test")


def test_a_score_says_of_what_it_is_and_no_folder_of_its_set():
    found = sit(residual(), "tflite", open_session("tflite", residual().model("tflite")), HERE,
                exam(residual(), "/home/somebody/"))
    assert (found.artifact_digest, found.data, found.n) == (residual().digest, "set.npz", 4)


def test_frames_that_the_manifest_does_not_have():
    artifact = residual()
    taking = Artifact(msgspec.structs.replace(artifact.manifest, takes_frames=True), artifact.files)
    with pytest.raises(BadInput, match="its manifest has no frames of '.*'; build it again"):
        sit(taking, "tflite", open_session("tflite", artifact.model("tflite")), HERE, exam(artifact))

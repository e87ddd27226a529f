"""What artefacts draw of the same inputs, each on its own device, beside each other."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from toolchain import deploy
from toolchain.data import load_samples
from toolchain.examination import answers
from toolchain.generation import channels_last
from toolchain.report.grid import grid_png
from toolchain.report.tables import scheme_text


def drawn(paths: Sequence[Path], data: str, split: str, count: int) -> bytes:
    """A PNG with a row for each artefact, as `rows` has it."""
    return grid_png(rows(paths, data, split, count))


def rows(paths: Sequence[Path], data: str, split: str, count: int) -> list[tuple[str, np.ndarray]]:
    """Title and images (N, height, width, channels) of each artefact: its first outputs for `count` samples
    of the split.

    Raises BadInput, BadSamples, and what devices raise.
    """
    samples, found = load_samples(data).split(split).take(count), []
    for path in paths:
        artifact = deploy.open_artifact(path)
        manifest, fmt = artifact.manifest, deploy.chosen_format(artifact, None)
        with deploy.deployed(artifact, fmt=fmt) as session:
            images = channels_last(answers(artifact, fmt, session, samples))
        found.append((f"{path.name}: {scheme_text(manifest.scheme)}, {manifest.target}, {session.runtime}",
                      images))
    return found

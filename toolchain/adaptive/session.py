"""A chain of model files, each run by a runtime of this host's or of a device's, the policy here."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from toolchain.artifact import Manifest
from toolchain.port import Port, convert
from toolchain.profile import Format
from toolchain.runtime.feeds import sample_count
from toolchain.stages import Arrays, Looked, StageRecord, followed, on_grid


class ChainSession:
    """Stages' sessions as one: run as any other, its outputs the logits and which stage answered.

    manifest: of a chain;  fmt: of its files;  sessions: of each, in order: what `run` is given and gives is
    in the file's own layout and dtype
    """

    def __init__(self, manifest: Manifest, fmt: Format, sessions: Sequence):
        self._sessions, self.at_once = sessions, min(session.at_once for session in sessions)
        self.inputs, self.outputs = manifest.inputs[fmt], manifest.outputs[fmt]
        self._chain, self._stages = manifest.chain, []
        have = {port.name: port for port in self.inputs}
        for record, session in zip(manifest.chain.stages, sessions, strict=True):
            self._stages.append(partial(_run_stage, record, fmt, session, dict(have)))
            have |= {port.name: port for port in record.outputs[fmt]}

    @property
    def runtime(self) -> str:
        """Of the first stage that runs."""
        return self._sessions[self._chain.may_run[0]].runtime

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Logits and path of N samples. Raises BadSamples."""
        sample_count(self.inputs, feeds)
        found = followed(self._stages, self._chain.policies, feeds, self._chain.may_run)
        return dict(zip((port.name for port in self.outputs), found, strict=True))


def _run_stage(record: StageRecord, fmt: Format, session, have: Mapping[str, Port], known: Arrays) -> Looked:
    """have: how what is known lies there: files may take in other dtypes what others give"""
    made = session.run({want.name: convert(known[want.name], have[want.name], want)
                        for want in record.inputs[fmt]})
    given, own = record.outputs[fmt][0], record.outputs["graph"][0]
    seen = convert(made[given.name], given, own)
    return Looked(seen, on_grid(seen, own.zero_point, record.multiplier), made)

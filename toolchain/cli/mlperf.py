"""MLPerf Tiny's modes on a board: performance, accuracy, energy."""

from typing import Annotated

import typer

from toolchain.cli.app import ArtifactPath, Device, Json, LedgerOption, Limit, Quiet, show, speaker, verb
from toolchain.errors import BadInput

HOW_TO_FLASH = ("is the firmware for energy, which pulses the board's pin at timestamps: put it on the board "
                "as you put firmware.elf (docs/own-board.md), and let nothing but the meter feed the board")


@verb
def mlperf(artifact: ArtifactPath, device: Device = None,
           mode: Annotated[str, typer.Option(help="performance, accuracy or energy.")] = "performance",
           data: Annotated[str | None, typer.Option(help="For accuracy: a labelled set or .npz.")] = None,
           split: Annotated[str, typer.Option(help="Which split of the set.")] = "test",
           limit: Limit = None, ledger: LedgerOption = None, json: Json = False,
           quiet: Quiet = False) -> None:
    """Measure firmware on a microcontroller board by MLPerf Tiny's rules.

    performance: inferences a second, the median of five windows of ten seconds.

    accuracy: top1 over a labelled set.

    energy: by a meter of boards.toml between two pulses of the board's pin, the median of five windows.

    Figures go into the ledger and beside the artefact. An emulated board has no time and no energy.
    """
    from toolchain import deploy
    from toolchain.examination import set_exam
    from toolchain.ledger.ledger import Ledger
    from toolchain.ledger.records import Subject
    from toolchain.mlperf import require_mode, run_mode, write_energy_firmware
    from toolchain.report.records import save

    opened, say = deploy.open_artifact(artifact), speaker(quiet)
    require_mode(opened, mode)
    if (mode == "accuracy") != (data is not None):
        raise BadInput("--data, a labelled set, goes with --mode accuracy, which needs it")
    exam = set_exam(opened, data, "top1", split, limit) if data else None
    if mode == "energy":
        say(f"{write_energy_firmware(opened, artifact, device)} {HOW_TO_FLASH}")
    of = Subject(opened.manifest.name, opened.digest, opened.manifest.target)
    with Ledger.open(ledger) as kept, deploy.held(kept, deploy.own_profile(opened), device) as lease:
        found = run_mode(opened, device, mode, exam)
        kept.record(found, subject=of, lease=lease)
    save(artifact, "c", found, f"{found.device}.mlperf-{mode}")
    show(json, found, _text(found))


def _text(found) -> str:
    from toolchain.measurement import Evaluation
    from toolchain.report.tables import bench_text, evaluation_text

    if isinstance(found, Evaluation):
        return evaluation_text(found)
    each = found.conditions.get("inferences_per_s")
    return bench_text(found) if each is None else f"{each:,.1f} inferences a second\n{bench_text(found)}"

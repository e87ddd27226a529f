"""What tests of meters that are files share."""

from pathlib import Path

from toolchain.device.boards import MeterConfig
from toolchain.device.transports.transport import Finished


def tree(folder: Path, **files: object) -> str:
    """Files of a folder of sysfs; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")
    return str(folder)


def config(kind: str, address: str = "", **more) -> MeterConfig:
    return MeterConfig(kind=kind, address=address, name="mine", **more)


class Shell:
    """A Transport's start(), as far as a Remote system uses it."""

    def __init__(self, answers: dict[tuple[str, ...], Finished]):
        self.answers = answers

    def start(self, argv, *, seconds, most_bytes) -> Finished:
        assert seconds <= 10 and most_bytes <= 65536
        return self.answers.get(tuple(argv), Finished(1, b"", b"No such file or directory"))


def ina226(tmp_path, **files) -> str:
    return tree(tmp_path / "hwmon2", **{"name": "ina226", "shunt_resistor": 10000, "update_interval": 35,
                                        "in1_input": 5000, "power1_input": 2_506_250} | files)


def package(tmp_path, **files) -> str:
    return tree(tmp_path / "intel-rapl:0", **{"name": "package-0", "energy_uj": 5_000_000,
                                              "max_energy_range_uj": 262_143_328_850} | files)

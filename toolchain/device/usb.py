"""What is plugged in here: serial ports, and instruments, known by the vendor and product of their USB."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
import re

SYSFS = Path("/sys/bus/usb/devices")
KNOWN = {
    (0x0483, 0x374B): ("board", "ST-LINK/V2-1, as on NUCLEO-L4R5ZI"),
    (0x0483, 0x374E): ("interface board or board", "STLINK-V3E, as on STM32H573I-DK"),
    (0x0483, 0x374F): ("board", "STLINK-V3"),
    (0x0483, 0x5740): ("meter lpm01a", "ST X-NUCLEO-LPM01A, or another virtual port of ST's"),
    (0x1915, 0xC00A): ("meter ppk2", "Nordic PPK2"),
    (0x1366, 0x0105): ("board", "SEGGER J-Link, as on Nordic's kits"),
    (0x1366, 0x1051): ("board", "SEGGER J-Link, as on Nordic's kits"),
    (0x0D28, 0x0204): ("board", "Arm DAPLink, as on micro:bit"),
    (0x2E8A, 0x000A): ("board", "Raspberry Pi Pico"),
    (0x2E8A, 0x000C): ("board", "Raspberry Pi Debug Probe"),
    (0x303A, 0x1001): ("board", "Espressif's own USB port"),
    (0x2341, 0x0043): ("interface board or board", "Arduino Uno"),
    (0x0403, 0x6001): ("adapter", "FTDI FT232"),
    (0x10C4, 0xEA60): ("adapter", "Silicon Labs CP210x"),
    (0x1A86, 0x7523): ("adapter", "WCH CH340"),
    (0x16D0, 0x10BA): ("meter joulescope", "Joulescope JS220"),
    (0x16D0, 0x0E88): ("meter joulescope", "Joulescope JS110"),
}
"""(vendor, product) -> (what it is good for, its name). Of the runner of MLPerf Tiny (benchmark/runner/
devices.yaml), Nordic's and Jetperch's documentation, and the USB ID repository."""


@dataclass(frozen=True)
class Plugged:
    """Something on USB that can be a board, or a meter.

    address: of a serial port; "" for an instrument that is none
    role:    "board", "meter ppk2", ...; "serial port" for one that nobody here knows
    name:    of the product; with its place on the bus where there are two of a kind; no serial number
    """

    address: str
    role: str
    name: str


def plugged_in(ports: Iterable | None = None, sysfs: Path = SYSFS) -> list[Plugged]:
    """Serial ports and known instruments, in the order of their addresses.

    ports: as pyserial's comports gives them; this host's where left out
    """
    if ports is None:
        from serial.tools.list_ports import comports

        ports = comports()
    found = [(_described(port), port.location or "") for port in sorted(ports, key=lambda port: port.device)]
    found += _instruments(sysfs)
    twice = Counter(plugged.name for plugged, _ in found)
    return [replace(plugged, name=f"{plugged.name} at USB {place}") if twice[plugged.name] > 1 and place
            else plugged for plugged, place in found]


def _described(port) -> Plugged:
    role, name = KNOWN.get((port.vid, port.pid), ("serial port", _without_serial(port)))
    return Plugged(port.device, role, name)


def _without_serial(port) -> str:
    """What the product calls itself: words, less those of its serial number."""
    text = port.product or ("" if port.description == "n/a" else port.description) or "no USB"
    if port.serial_number:
        text = text.replace(port.serial_number, "")
    return re.sub(r"[^ -~]", "?", text).strip()[:80] or "unnamed"


def _instruments(sysfs: Path) -> Iterator[tuple[Plugged, str]]:
    """Known ones that have no serial port, and where on the bus they are."""
    for folder in sorted(sysfs.glob("*-*")):
        try:
            key = tuple(int((folder / name).read_text(), 16) for name in ("idVendor", "idProduct"))
        except (OSError, ValueError):
            continue
        if key in KNOWN and KNOWN[key][0] == "meter joulescope":
            yield Plugged("", *KNOWN[key]), folder.name

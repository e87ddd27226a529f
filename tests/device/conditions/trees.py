"""Trees that stand in for /sys and /proc, and programs that devices have."""

from pathlib import Path

from toolchain.device.transports.local import LocalWire
from toolchain.device.transports.transport import Finished

STAT = """cpu  {user} 1200 30000 {idle} 500 0 800 {steal} 0 0
cpu0 25000 300 7500 2250000 125 0 200 0 0 0
intr 1234567 0 0 9
ctxt 7654321
"""
PI5_POLICY = {"scaling_governor": "ondemand", "scaling_cur_freq": "1500000", "scaling_max_freq": "2400000",
              "cpuinfo_max_freq": "2400000", "affected_cpus": "0 1 2 3"}
PI5 = {
    **{f"sys/devices/system/cpu/cpufreq/policy0/{name}": text for name, text in PI5_POLICY.items()},
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal", "sys/class/thermal/thermal_zone0/temp": "52650",
    "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled": "0",
    "proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n\n"
                    "Serial\t\t: 1234abcd\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0",
    "proc/loadavg": "0.08 0.03 0.01 1/182 1204", "proc/uptime": "10000.00 39000.00",
    "proc/stat": STAT.format(user=100000, idle=9000000, steal=0),
    "proc/pressure/cpu": "some avg10=0.00 avg60=0.00 avg300=0.00 total=5000000\n"
                         "full avg10=0.00 avg60=0.00 avg300=0.00 total=0",
}
"""A Raspberry Pi 5 with Raspberry Pi OS (kernel 6.6), at rest."""
PC = {
    **{f"sys/devices/system/cpu/cpufreq/policy{cpu}/{name}": text for cpu in range(2) for name, text in
       {"scaling_governor": "performance", "scaling_cur_freq": "3600000", "scaling_max_freq": "3600000",
        "cpuinfo_max_freq": "3600000", "affected_cpus": str(cpu)}.items()},
    **{f"sys/devices/system/cpu/cpu{cpu}/thermal_throttle/core_throttle_count": "7" for cpu in range(2)},
    "sys/class/thermal/thermal_zone0/type": "INT3400 Thermal",
    "sys/class/thermal/thermal_zone0/temp": "20000",
    "sys/class/thermal/thermal_zone1/type": "x86_pkg_temp",
    "sys/class/thermal/thermal_zone1/temp": "61000",
    "proc/uptime": "10000.00 19000.00", "proc/stat": STAT.format(user=100000, idle=9000000, steal=0)}
VM = {"proc/loadavg": "0.30 0.20 0.10 2/99 400", "proc/uptime": "500.00 900.00",
      "proc/stat": STAT.format(user=1000, idle=90000, steal=10)}
"""A virtual machine: no cpufreq, no thermal zones."""


def plant(root: Path, files: dict[str, str]) -> str:
    """The files in a folder; the folder, to be looked at as root."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return str(root)


class Device:
    """This host's programs, and others with answers of their own. Stands in for a Transport.

    answers: command line, with spaces -> its standard output; what is not among them and this host has not
             either ends with 127
    """

    name, folder = "device", "/nowhere"

    def __init__(self, answers: dict[str, str] | None = None):
        self.answers = answers or {}

    def start(self, argv, *, seconds: float, most_bytes: int = 2**20) -> Finished:
        if " ".join(argv) in self.answers:
            return Finished(0, self.answers[" ".join(argv)].encode(), b"")
        if argv[0] in ("grep", "ls"):
            return LocalWire().run(argv, seconds=seconds, most_bytes=most_bytes)
        return Finished(127, b"", b"not found")

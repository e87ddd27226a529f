"""Emulators of the meters, in replayed time: each one runs once and says what it measured, beside the truth.

perfect: no error of gain or offset is injected; noise, losses, latency and skew always are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
import sys
from types import SimpleNamespace

import numpy as np

from tests.device.meters.loads import Load, Replay, held, square_load
from toolchain.device.boards import MeterConfig
from toolchain.device.clock import ask_clock, map_clock
from toolchain.device.energy import measure_energy
from toolchain.device.meters.counter import FileCounter
from toolchain.device.meters.hwmon import survey_hwmon
from toolchain.device.meters.joulescope import Joulescope
from toolchain.device.meters.meter import Reading
from toolchain.device.meters.odpm import survey_odpm
from toolchain.device.meters.pmic import survey_pmic
from toolchain.device.meters.polled import Polled
from toolchain.device.meters.power_supply import survey_charge_counter, survey_power_supply
from toolchain.device.meters.rapl import survey_rapl
from toolchain.measurement import Energy

GUARD_S = 2.0
"""Between an idle window and the run."""


@dataclass(frozen=True)
class Outcome:
    """energy: as measured; gross_uj, net_uj: as it was."""

    energy: Energy
    gross_uj: float
    net_uj: float

    @classmethod
    def of(cls, load: Load, energy: Energy) -> "Outcome":
        count = len(load.starts_s) - 1
        net_mj = load.energy() - load.powers_mw[0] * (load.end_s - load.begin_s)
        return cls(energy, load.energy() * 1000 / count, net_mj * 1000 / count)

    @property
    def error(self) -> float:
        return self.energy.gross_uj / self.gross_uj - 1

    @property
    def covered(self) -> bool:
        return abs(self.error) * self.gross_uj <= self.energy.uncertainty * self.energy.gross_uj

    @property
    def net_covered(self) -> bool:
        e = self.energy
        return e.net_uj is None or abs(e.net_uj - self.net_uj) <= e.net_uncertainty * e.net_uj


class Device:
    """A device's clock: offset and skew against the host's; its own times of a load."""

    def __init__(self, rng: np.random.Generator):
        self.offset_s, self.ppm = rng.uniform(-4000, 4000), rng.uniform(-80, 80)

    def of_host(self, host_s):
        return (np.asarray(host_s) * (1 + self.ppm * 1e-6)) + self.offset_s


def gain_of(rng: np.random.Generator, limits: float, perfect: bool) -> float:
    return 1.0 if perfect else 1 + rng.uniform(-limits, limits)


def host_window(rng, load: Load, replay: Replay, finish: Callable[[], None]):
    """The run's window and inferences as the host gets to know them, over the device's clock."""
    device = Device(rng)

    def read() -> float:
        replay.sleep(rng.uniform(0.001, 0.004))
        answer = float(device.of_host(replay.now()))
        replay.sleep(rng.uniform(0.001, 0.004))
        return answer

    before = ask_clock(read, now=replay.now)
    finish()
    mapped = map_clock(before, ask_clock(read, now=replay.now))
    starts = np.array([mapped.to_host(float(start)) for start in device.of_host(load.starts_s)])
    return starts, mapped.limits_s


def polled_outcome(rng, load: Load, replay: Replay, survey) -> Outcome:
    """Idle, run, idle, in one go; some readings take far too long."""
    meter = Polled(survey, now=replay.now, sleep=replay.sleep)
    meter.begin()
    last = load.end_s + 10 + 4 * meter.facts.period_s

    def poll() -> None:
        while replay.now() < last:
            meter.poll()
            if rng.random() < 0.01:
                replay.sleep(2.2 * meter.facts.period_s)

    starts, limits_s = host_window(rng, load, replay, poll)
    idle = [meter.window(load.begin_s - 10, load.begin_s - GUARD_S),
            meter.window(load.end_s + GUARD_S, load.end_s + 10)]
    window = meter.window(float(starts[0]), float(starts[-1]))
    energy = measure_energy(window, len(starts) - 1, idle, edge_s=limits_s, cycles_s=starts)
    return Outcome.of(load, energy)


def watched_outcome(rng, load: Load, replay: Replay, survey, *, watch_s: float = 0.25) -> Outcome:
    """The host reads at idle; the runner reads at its beginning, between inferences, and at its end."""
    meter = FileCounter(replay, survey, now=replay.now, sleep=replay.sleep)
    meter.open()
    idle = [meter.idle(load.begin_s - GUARD_S - replay.now())]
    device = Device(rng)
    moments = [load.begin_s - rng.uniform(1e-5, 5e-4)]
    for start in load.starts_s[1:-1]:
        if start - moments[-1] >= watch_s:
            moments.append(float(start))
    moments.append(load.end_s + rng.uniform(1e-5, 5e-4))
    lost = rng.random(len(moments)) < 0.02
    lost[[0, -1]] = False
    meter.take({path: [Reading(float(device.of_host(moment)), "" if gone else replay.files[path](moment))
                       for moment, gone in zip(moments, lost)] for path in meter.files})
    replay.time_s = load.end_s + GUARD_S
    idle.append(meter.idle(10.0))
    begin, end = (float(device.of_host(edge)) for edge in (load.begin_s, load.end_s))
    return Outcome.of(load, measure_energy(meter.window(begin, end), len(load.starts_s) - 1, idle))


def hwmon(rng: np.random.Generator, perfect: bool, seconds: float = 60.0) -> Outcome:
    """An INA226 with 10 mOhm and 16 averages, another board's supply, read by the host."""
    load = square_load(rng, seconds=seconds, inference_s=rng.uniform(0.003, 0.04))
    interval, phase = 0.0352, rng.uniform(0, 1)
    gain, offset_mw = gain_of(rng, 0.012, perfect), 0 if perfect else rng.uniform(-5, 5)

    def power1_input(time_s: float) -> str:
        true_mw = load.mean(held(time_s, interval, phase), interval)
        steps = (true_mw * gain + offset_mw + 3 * rng.standard_normal()) / 6.25
        return f"{int(steps) * 6250}\n"

    root = "/sys/class/hwmon/hwmon3"
    files = {"name": "ina226", "shunt_resistor": "10000", "update_interval": "35", "in1_input": "5000"}
    replay = Replay(rng, {f"{root}/{name}": lambda _, text=text: text for name, text in files.items()})
    replay.files[f"{root}/power1_input"] = power1_input
    config = MeterConfig(kind="hwmon", address=root, name="ina")
    return polled_outcome(rng, load, replay, lambda: survey_hwmon(config, replay, "external meter"))


def pmic(rng: np.random.Generator, perfect: bool, seconds: float = 120.0) -> Outcome:
    """A Raspberry Pi 5 over ssh; its ADC holds for 5 ms, and the current is smoothed over 2 ms."""
    load = square_load(rng, seconds=seconds, inference_s=rng.uniform(0.004, 0.05), high_mw=4600, low_mw=4300,
                       idle_mw=1600)
    gain, phase = gain_of(rng, 0.02, perfect), rng.uniform(0, 1)

    def answer(time_s: float) -> str:
        core = load.mean(held(time_s, 0.005, phase), 0.002) / 1000 - 0.5
        rows = {"VDD_CORE": (core * gain / 0.85 * (1 + 0.01 * rng.standard_normal()), 0.85),
                "3V3_SYS": (0.5 * gain / 3.3, 3.3)}
        lines = [f" {rail}_A current({i})={a:.8f}A" for i, (rail, (a, _)) in enumerate(rows.items())]
        lines += [f" {rail}_V volt({i})={v:.8f}V" for i, (rail, (_, v)) in enumerate(rows.items(), 8)]
        return "\n".join([*lines, "    EXT5V_V volt(24)=5.09066000V\n"])

    replay = Replay(rng, {}, (0.008, 0.03), {("vcgencmd", "pmic_read_adc"): answer})
    config = MeterConfig(kind="pmic", gain_error=0.02, name="pi")
    return polled_outcome(rng, load, replay, lambda: survey_pmic(config, replay))


def power_supply(rng: np.random.Generator, perfect: bool, seconds: float = 400.0) -> Outcome:
    """A phone over Wi-Fi whose gauge averages a second and renews its reading as often."""
    load = square_load(rng, seconds=seconds, inference_s=rng.uniform(0.01, 0.2), high_mw=2600, low_mw=2300)
    gain, phase = gain_of(rng, 0.02, perfect), rng.uniform(0, 1)
    volts_uv = 3_850_000

    def current_now(time_s: float) -> str:
        return f"{-int(load.mean(held(time_s, 1.0, phase), 1.0) * gain / volts_uv * 1e9)}\n"

    files = {"type": "Battery", "status": "Discharging", "voltage_now": str(volts_uv)}
    root = "/sys/class/power_supply/battery"
    replay = Replay(rng, {f"{root}/{name}": lambda _, text=text: text for name, text in files.items()},
                    (0.005, 0.04))
    replay.files[f"{root}/current_now"] = current_now
    config = MeterConfig(kind="power_supply", gain_error=0.02, name="battery")
    return polled_outcome(rng, load, replay, lambda: survey_power_supply(config, replay))


def charge_counter(rng: np.random.Generator, perfect: bool, seconds: float = 900.0) -> Outcome:
    """A gauge that counts in steps of 0.1 mAh, renewed every 2 seconds."""
    load = square_load(rng, seconds=seconds, inference_s=rng.uniform(0.05, 0.3), wait_s=80.0)
    gain, phase, first = gain_of(rng, 0.02, perfect), rng.uniform(0, 1), rng.uniform(2e6, 2.1e6)
    volts_uv = 3_850_000

    def left(time_s: float) -> str:
        used_uah = load.total(held(time_s, 2.0, phase)) * gain / (volts_uv / 1e6) / 3.6
        return f"{int((first - used_uah) // 100) * 100}\n"

    root = "/sys/class/power_supply/bq27541"
    files = {"type": "Battery", "status": "Discharging", "voltage_now": str(volts_uv)}
    replay = Replay(rng, {f"{root}/{name}": lambda _, text=text: text for name, text in files.items()},
                    (0.005, 0.04))
    replay.files[f"{root}/charge_counter"] = left
    config = MeterConfig(kind="charge_counter", gain_error=0.02, name="battery")
    return watched_outcome(rng, load, replay, lambda system: survey_charge_counter(config, system))


def rapl(rng: np.random.Generator, perfect: bool, seconds: float = 10.0) -> Outcome:
    """A package of tens of watts whose counter begins again during the run."""
    load = square_load(rng, seconds=seconds, inference_s=rng.uniform(0.0005, 0.02), high_mw=42_000,
                       low_mw=35_000, idle_mw=9_000)
    gain, phase, limit = gain_of(rng, 0.03, perfect), rng.uniform(0, 1), 262_143_328_850
    start_uj = limit - load.energy() * 1000 * rng.uniform(0.2, 0.8) - load.total(load.begin_s) * 1000

    def energy_uj(time_s: float) -> str:
        steps = (start_uj + load.total(held(time_s, 0.001, phase)) * 1000 * gain) // 61.03515625
        return f"{int(steps * 61.03515625) % limit}\n"

    root = "/sys/class/powercap/intel-rapl:0"
    replay = Replay(rng, {f"{root}/name": lambda _: "package-0", f"{root}/energy_uj": energy_uj,
                          f"{root}/max_energy_range_uj": lambda _: str(limit)})
    config = MeterConfig(kind="rapl", gain_error=0.03, name="package")
    return watched_outcome(rng, load, replay, lambda system: survey_rapl(config, system))


def odpm(rng: np.random.Generator, perfect: bool, seconds: float = 40.0) -> Outcome:
    """A Pixel: two chips, three rails, renewed 8 times a second."""
    load = square_load(rng, seconds=seconds, inference_s=rng.uniform(0.002, 0.04), high_mw=3600, low_mw=3000,
                       idle_mw=400)
    gain, phase = gain_of(rng, 0.03, perfect), rng.uniform(0, 1)
    rails = {"iio:device0": {"S2M_VDD_CPUCL2": 0.6, "S3M_VDD_CPUCL1": 0.25},
             "iio:device1": {"S8S_VDD_G3D": 0.15}}

    def energy_value(shares: dict, time_s: float) -> str:
        total_uj = (load.total(held(time_s, 0.125, phase)) + 5e6) * gain * 1000
        rows = [f"CH{i}(T={int(time_s * 1000)})[{rail}], {int(total_uj * share)}\n"
                for i, (rail, share) in enumerate(shares.items())]
        return f"t={int(time_s * 1000)}\n" + "".join(rows)

    root = "/sys/bus/iio/devices"
    replay = Replay(rng, {f"{root}/{name}/energy_value": partial(energy_value, shares)
                          for name, shares in rails.items()})
    config = MeterConfig(kind="odpm", gain_error=0.03, name="rails")
    return watched_outcome(rng, load, replay, lambda system: survey_odpm(config, system))


class FakeJoulescope:
    """What the package's Device does, as far as the meter uses it; messages are played to its callback."""

    def __init__(self, number: str = "JS220-001122"):
        self.number, self.parameters, self.callbacks, self.is_open = number, {}, [], False
        self.opening = (-0.04, -0.02)

    def __str__(self) -> str:
        return self.number

    def parameter_set(self, name: str, value: str) -> None:
        self.parameters[name] = value

    def open(self) -> None:
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    def statistics_callback_register(self, callback) -> None:
        self.callbacks.append(callback)
        for reached_s in self.opening:
            self.play(reached_s, 0.0)

    def statistics_callback_unregister(self, callback) -> None:
        self.callbacks.remove(callback)

    def play(self, reached_s: float, joules: float) -> None:
        message = {"time": {"range": {"value": [reached_s - 0.02, reached_s], "units": "s"}},
                   "accumulators": {"energy": {"value": joules, "units": "J"}}}
        for callback in self.callbacks:
            callback(message)


def joulescope(rng: np.random.Generator, perfect: bool, seconds: float = 10.0) -> Outcome:
    """50 messages a second, 2 % of them lost, late by up to 4 ms and sometimes 50; 30 ppm of skew."""
    load = square_load(rng, seconds=seconds, inference_s=rng.uniform(0.001, 0.05))
    gain, ppm, begin = gain_of(rng, 0.01, perfect), rng.uniform(-30, 30), load.begin_s - 11
    device, clock = FakeJoulescope(), SimpleNamespace(time_s=begin)
    sys.modules["joulescope"] = SimpleNamespace(scan=lambda config: [device])
    try:
        meter = Joulescope(MeterConfig(kind="joulescope", name="js"), now=lambda: clock.time_s)
        meter.open()
    finally:
        del sys.modules["joulescope"]
    for i in range(1, int((load.end_s + 11 - begin) * 50)):
        reached, late = i / 50 * (1 + ppm * 1e-6), rng.uniform(0.0005, 0.004) + 0.05 * (rng.random() < 0.01)
        clock.time_s = max(clock.time_s, begin + i / 50 + late)
        if rng.random() > 0.02:
            joules = (load.total(begin + i / 50) - load.total(begin)) * gain * (1 + ppm * 1e-6) / 1000
            device.play(reached, float(joules))
    windows = [meter.window(*edges) for edges in ((load.begin_s - 10, load.begin_s - GUARD_S),
                                                  (load.end_s + GUARD_S, load.end_s + 10),
                                                  (load.begin_s, load.end_s))]
    meter.close()
    *idle, window = windows
    return Outcome.of(load, measure_energy(window, len(load.starts_s) - 1, idle))


EMULATED: dict[str, Callable[[np.random.Generator, bool], Outcome]] = {
    "hwmon": hwmon, "pmic": pmic, "power_supply": power_supply, "charge_counter": charge_counter,
    "rapl": rapl, "odpm": odpm, "joulescope": joulescope}


def main(cases: int = 100) -> None:
    """The table of docs/energy.md."""
    print("| meter | window | largest error, no gain error | truth covered, gross | net | stated (median) |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, emulate in EMULATED.items():
        ideal = [emulate(np.random.default_rng([1, seed]), True) for seed in range(cases)]
        real = [emulate(np.random.default_rng([2, seed]), False) for seed in range(cases)]
        worst = max(abs(one.error) for one in ideal)
        stated = float(np.median([one.energy.uncertainty for one in real]))
        both = ideal + real
        gross, net = sum(one.covered for one in both), sum(one.net_covered for one in both)
        print(f"| {name} | {real[0].energy.window_s:.0f} s | {worst:.2%} | {gross}/{len(both)} | "
              f"{net}/{len(both)} | {stated:.1%} |")


if __name__ == "__main__":
    main()

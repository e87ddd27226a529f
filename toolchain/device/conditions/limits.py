"""How far a device's conditions may go before its figures do not stand."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """clock:        least share of the highest clock allowed, while inferences run
    celsius:         of the processor; Raspberry Pis throttle from 80, phones and PCs later
    others_cpus:     CPUs that other programs kept busy, on average
    waited:          share of the time in which a task waited for a CPU (pressure stall information)
    steal:           share of the CPU time that a hypervisor gave to others
    battery_percent: under it, phones slow down
    """

    clock: float = 0.9
    celsius: float = 80.0
    others_cpus: float = 0.5
    waited: float = 0.25
    steal: float = 0.01
    battery_percent: int = 20

"""Which processor and which board /proc/cpuinfo tells of; never the serial number that stands in it, too.

Formats: arch/x86/kernel/cpu/proc.c, arch/arm64/kernel/cpuinfo.c, arch/arm/kernel/setup.c of Linux; "Model" is
of Raspberry Pi's kernels.
"""

import re

LINE = re.compile(r"(model name|Model|Hardware|CPU implementer|CPU part)\s*: ([ -~]{1,100})")
ARM = "0x41"
ARM_PART = {
    0xd03: "A53", 0xd04: "A35", 0xd05: "A55", 0xd07: "A57", 0xd08: "A72", 0xd09: "A73", 0xd0a: "A75",
    0xd0b: "A76", 0xd0d: "A77", 0xd41: "A78", 0xd44: "X1", 0xd46: "A510", 0xd47: "A710", 0xd48: "X2",
    0xd4d: "A715", 0xd4e: "X3", 0xd80: "A520", 0xd81: "A720", 0xd82: "X4"}
"""MIDR_EL1's part number of Arm's own cores -> Cortex-; arch/arm64/include/asm/cputype.h."""
PART = re.compile(r"0x[0-9a-f]{1,4}")


def processor(text: str) -> str:
    """Names, each once: the board's where it is told, then those of its cores; "" where nothing is told."""
    told = [found.groups() for line in text.splitlines() if (found := LINE.fullmatch(line))]
    boards = [value for key, value in told if key in ("Model", "Hardware")]
    names = [value for key, value in told if key == "model name"]
    return ", ".join(dict.fromkeys(value.strip() for value in (*boards[:1], *(names or _cores(told)))))


def _cores(told: list[tuple[str, str]]) -> list[str]:
    """Of an Arm processor, which tells numbers only."""
    makers = [value for key, value in told if key == "CPU implementer"]
    parts = [value for key, value in told if key == "CPU part"]
    return [_core(maker, part) for maker, part in zip(makers, parts, strict=False) if PART.fullmatch(part)]


def _core(maker: str, part: str) -> str:
    name = ARM_PART.get(int(part, 16)) if maker == ARM else None
    return f"Cortex-{name}" if name else f"core {part} of maker {maker}"

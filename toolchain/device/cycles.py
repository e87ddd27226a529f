"""An estimate of Cortex-M4 cycles: what each instruction costs by the manual, times how often it ran.

Source: Arm Cortex-M4 Technical Reference Manual (Arm DDI 0439, 100166), section 3.3: tables 3-1 and 3-2, for
memory without wait states, and "Load/store timings". Executions are exact; cycles are not: a refill of the
pipeline takes 1 to 3 cycles and is taken for 2, a division 2 to 12 and is taken for 12; a real chip's flash
has wait states, and an accelerator that hides some of them.
"""

from collections.abc import Mapping
import re

from toolchain.device.disassembly import Instruction

CORES = {"cortex-m4"}
"""Those that the manual is of."""
REFILL = 2
DIVISION = 12
CONDITION = "(?:eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)"
BRANCH = re.compile(rf"(?:b|bl|bx|blx){CONDITION}?|tb[bh]|cbn?z")
CONDITIONAL = re.compile(rf"b{CONDITION}|cbn?z")
MULTIPLE = re.compile(r"ldm\w*|stm\w*|push\w*|pop\w*")
DOUBLE = re.compile(r"(?:ldr|str)d\w*")
LOAD = re.compile(r"ldr\w*")
STORE = re.compile(r"str\w*")
DIVIDE = re.compile(r"[su]div\w*")
WIDE_RESULT = re.compile(r"[su]m(?:ul|la)l\w*|umaal")
NO_RESULT = re.compile(r"(?:cmp|cmn|tst|teq|nop|it[te]*|dmb|dsb|isb)\w*")


def estimate_cycles(code: Mapping[int, Instruction], counts: Mapping[int, int]) -> dict[int, int]:
    """Address -> cycles of all its executions."""
    cycles = {}
    for address, executions in counts.items():
        this = code[address]
        before = _preceding(code, counts, address)
        cycles[address] = executions * _cost(this, before) + REFILL * _taken(this, executions, counts)
    return cycles


def _preceding(code: Mapping[int, Instruction], counts: Mapping[int, int],
               address: int) -> Instruction | None:
    """What ran before it where it was not jumped to: the neighbour, if that ran."""
    for size in (2, 4):
        found = code.get(address - size)
        if found and found.bytes == size and counts.get(found.address):
            return None if BRANCH.fullmatch(found.mnemonic) else found
    return None


def _taken(this: Instruction, executions: int, counts: Mapping[int, int]) -> int:
    """How often it went elsewhere: of a conditional branch at least as often as the next one did not run."""
    if CONDITIONAL.fullmatch(this.mnemonic):
        return max(executions - counts.get(this.address + this.bytes, 0), 0)
    return executions if BRANCH.fullmatch(this.mnemonic) or _writes_pc(this) else 0


def _writes_pc(this: Instruction) -> bool:
    """A return by pop, or a computed jump."""
    if MULTIPLE.fullmatch(this.mnemonic):
        return not this.mnemonic.startswith(("stm", "push")) and "pc" in this.operands
    return this.operands.startswith("pc,") and not STORE.fullmatch(this.mnemonic)


def _cost(this: Instruction, before: Instruction | None) -> int:
    """Cycles of one execution, without a refill."""
    if MULTIPLE.fullmatch(this.mnemonic):
        return 1 + _registers(this.operands)
    if DOUBLE.fullmatch(this.mnemonic):
        return 3 + _waits(this, before)
    if LOAD.fullmatch(this.mnemonic) or STORE.fullmatch(this.mnemonic):
        return _single(this, before) + _waits(this, before)
    if this.mnemonic in ("tbb", "tbh"):
        return 2
    return DIVISION if DIVIDE.fullmatch(this.mnemonic) else 1


def _single(this: Instruction, before: Instruction | None) -> int:
    """A store at a constant distance goes to the buffer; else an access overlaps with a load just before."""
    offset = _address(this).split(",")[1:]
    if STORE.fullmatch(this.mnemonic) and all("#" in part for part in offset):
        return 1
    follows = before is not None and LOAD.fullmatch(before.mnemonic) and not DOUBLE.fullmatch(before.mnemonic)
    return 1 if follows and not _results(before) & _registers_in(_address(this)) else 2


def _waits(this: Instruction, before: Instruction | None) -> int:
    """A cycle more where the address comes from the data processing instruction just before."""
    if before is None or LOAD.fullmatch(before.mnemonic) or STORE.fullmatch(before.mnemonic) \
            or MULTIPLE.fullmatch(before.mnemonic):
        return 0
    return int(bool(_results(before) & _registers_in(_address(this))))


def _address(this: Instruction) -> str:
    """What is in brackets."""
    found = re.search(r"\[(.*?)\]", this.operands)
    return found[1] if found else ""


def _results(this: Instruction) -> set[str]:
    """Registers that it writes, but for a load's updated base."""
    if NO_RESULT.fullmatch(this.mnemonic):
        return set()
    count = 2 if WIDE_RESULT.fullmatch(this.mnemonic) else 1
    return {part.strip() for part in this.operands.split(",")[:count]}


def _registers_in(text: str) -> set[str]:
    return {part.strip() for part in text.split(",")}


def _registers(operands: str) -> int:
    """How many a list in braces names: {r4, r5, r7-r9}."""
    inside = operands[operands.index("{") + 1:operands.index("}")]
    return sum(_span(part.strip()) for part in inside.split(","))


def _span(part: str) -> int:
    first, _, last = part.partition("-")
    return _number(last) - _number(first) + 1 if last else 1


def _number(register: str) -> int:
    return {"sl": 10, "fp": 11, "ip": 12, "sp": 13, "lr": 14, "pc": 15}.get(register) or int(register[1:])

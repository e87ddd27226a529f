"""Every error a user can cause, with the exit code the command line gives it.

0 ok, 1 a bug (traceback), 2 usage or bad input, 3 gate failed or does not fit, 4 unsupported op or target,
5 device unavailable, 6 measurement invalid, 130 interrupted.
"""


from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class ToolchainError(Exception):
    """Base of all: printed as one message, without a traceback."""

    exit_code = 2


class BadInput(ToolchainError):
    """A file, option or value that cannot be used as it is."""


class BadModel(BadInput):
    """A model file that is missing, truncated, malformed or inconsistent with itself."""


class BadGraph(BadInput):
    """An op that breaks its row of the op table, or a Graph that breaks a rule of its level."""


class BadConfig(BadInput):
    """A profile, recipe, manifest or boards file with an unknown key, wrong type or value out of range."""


class BadSamples(BadInput):
    """Samples that are missing, empty, of the wrong shape or type, or hold NaN or Inf."""


class SelfCheckFailed(ToolchainError):
    """The loaded Graph does not compute what its source computes."""


class DoesNotFit(ToolchainError):
    """The artefact needs more flash or RAM than the target has.

    sizes: kind -> bytes that linked firmware takes: flash, code_flash, static, stack, arena, ram
    """

    exit_code = 3

    def __init__(self, message: str, sizes: Mapping[str, int] | None = None):
        super().__init__(message)
        self.sizes = dict(sizes or {})


class DoesNotPay(ToolchainError):
    """A smaller network would take no less on its target."""

    exit_code = 3


class GateFailed(ToolchainError):
    """A bound that the user set does not hold."""

    exit_code = 3


class Unsupported(ToolchainError):
    """An op, attribute, shape, dtype or target that the toolchain has no row for."""

    exit_code = 4

    def __init__(self, message: str, items: tuple[str, ...] = ()):
        super().__init__(message)
        self.items = items

    @classmethod
    def listing(cls, subject: str, items) -> "Unsupported":
        """Everything that `subject` holds and the toolchain has no row for, in one error.

        items: one line each, saying the op, its tensor and what would help
        """
        items = tuple(items)
        return cls("\n  ".join((f"{subject}: {len(items)} unsupported:", *items)), items)


class DeviceUnavailable(ToolchainError):
    """A device or a tool needed to reach it is missing or does not answer."""

    exit_code = 5


class RuntimeMissing(DeviceUnavailable):
    """A device that answers and has not the runtime that was asked for."""


class DeviceLost(DeviceUnavailable):
    """A device that answered and then was gone: a pulled cable, a dropped connection, a reset. Try again."""


class DeviceRefused(DeviceUnavailable):
    """A device that is there and does not let us in: an unknown host key, an unauthorized host."""


class DeviceExhausted(DeviceUnavailable):
    """A device whose disk or memory is full."""


class DeviceTimeout(DeviceUnavailable):
    """A program on a device that ran for longer than it may; it was ended."""


class DeviceBusy(DeviceUnavailable):
    """A device or a meter that another process measures with."""


class LeaseLost(DeviceBusy):
    """A lease that ran out while its holder was away: what it measured cannot be kept. Try again."""


class LedgerError(ToolchainError):
    """A ledger that cannot be used: not ours, newer than we are, damaged, locked, or on a full disk."""


class InvalidMeasurement(ToolchainError):
    """A figure that was read but cannot be trusted."""

    exit_code = 6


class TooShort(InvalidMeasurement):
    """A run that is too short for what it should tell.

    inferences: a run that suffices has so many; None where no number does
    """

    def __init__(self, message: str, inferences: int | None):
        super().__init__(message)
        self.inferences = inferences


class BadReply(InvalidMeasurement):
    """What a device sent is not what its protocol allows: garbage, half a line, too much, a bad checksum."""


@contextmanager
def about(file: object) -> Iterator[None]:
    """The user's errors raised inside begin with the file that they are about, where they do not name it."""
    try:
        yield
    except ToolchainError as error:
        if str(file) not in str(error):
            error.args = (f"{file}: {error}",)
        raise

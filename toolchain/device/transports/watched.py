"""A program started so that nothing of it is left running, whatever becomes of the connection."""

from collections.abc import Mapping, Sequence
import math
import re

from toolchain.device.transports.transport import safe_words
from toolchain.errors import BadInput

GRACE_SECONDS = 10
"""The device ends a program that much later than the host does, which is to notice first."""
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# $1: seconds; the rest: the program. POSIX sh. It runs in a process group of its own, which two watchers end:
# one when the time is over, one when standard input ends, as it does when the connection breaks. Each watcher
# is a group of its own, too, so that its `sleep` or `cat` goes with it. setsid makes no further process here,
# for what stands in the background of a shell that has no terminal does not lead a group. Where there is no
# setsid, they end the group of this shell, if it leads one, as sshd sees to; else the program alone.
WATCHED = (
    'exec 3<&0; s=$1; shift; g=; command -v setsid >/dev/null 2>&1 && g=setsid; '
    'end="kill -s KILL -- -\\$1 2>/dev/null || kill -s KILL -- -\\$2 2>/dev/null || kill -s KILL \\$1"; '
    '$g "$@" </dev/null 3<&- & p=$!; '
    '$g sh -c "sleep $s; $end" edge $p $$ </dev/null >/dev/null 2>&1 3<&- & t=$!; '
    '$g sh -c "cat; $end" edge $p $$ <&3 >/dev/null 2>&1 3<&- & c=$!; '
    'wait $p; code=$?; '
    'for w in $t $c; do set -- $w; eval "$end" >/dev/null 2>&1; done; exit $code')


def watched(argv: Sequence[str], seconds: float, environment: Mapping[str, str] = {}) -> list[str]:
    """The command line that runs `argv` until it ends, standard input does, or the time is over.

    Its exit code is the program's, 128 + signal where one ended it. Raises BadInput.
    """
    variables = [f"{_variable(name)}={value}" for name, value in environment.items()]
    program = [*(["env", *variables] if variables else []), *argv]
    return ["sh", "-c", WATCHED, "edge", str(math.ceil(seconds) + GRACE_SECONDS), *safe_words(program)]


def _variable(name: str) -> str:
    if not VARIABLE.fullmatch(name):
        raise BadInput(f"{name!r} is not the name of an environment variable")
    return name

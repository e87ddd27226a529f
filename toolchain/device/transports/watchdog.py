"""A program started so that nothing of it is left running, whatever becomes of the connection."""

from collections.abc import Sequence
import math

from toolchain.device.transports.transport import safe_words

GRACE_SECONDS = 10
"""The device ends a program that much later than the host does, which is to notice first."""

# $1: seconds; the rest: the program. POSIX sh. It runs in a process group of its own, which two watchdogs
# end: one when the time is over, one when standard input ends, as it does when the connection breaks. Each is
# a group of its own, too, so that its `sleep` or `cat` goes with it. setsid makes no further process here,
# for what stands in the background of a shell that has no terminal does not lead a group. Where there is no
# setsid, they end the group of this shell, if it leads one, as sshd sees to; else the program alone.
WATCHDOGS = (
    'exec 3<&0; s=$1; shift; g=; command -v setsid >/dev/null 2>&1 && g=setsid; '
    'end="kill -s KILL -- -\\$1 2>/dev/null || kill -s KILL -- -\\$2 2>/dev/null || kill -s KILL \\$1"; '
    '$g "$@" </dev/null 3<&- & p=$!; '
    '$g sh -c "sleep $s; $end" edge $p $$ </dev/null >/dev/null 2>&1 3<&- & t=$!; '
    '$g sh -c "cat; $end" edge $p $$ <&3 >/dev/null 2>&1 3<&- & c=$!; '
    'wait $p; code=$?; '
    'for w in $t $c; do set -- $w; eval "$end" >/dev/null 2>&1; done; exit $code')


def under_watchdogs(argv: Sequence[str], seconds: float) -> list[str]:
    """The command line that runs `argv` until it ends, standard input does, or the time is over.

    Its exit code is the program's, 128 + signal where one ended it. Raises BadInput.
    """
    return ["sh", "-c", WATCHDOGS, "edge", str(math.ceil(seconds) + GRACE_SECONDS), *safe_words(argv)]

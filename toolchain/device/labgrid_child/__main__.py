"""python -IB labgrid_child COORDINATOR USER PARENT: a line of JSON in, a line of JSON out.

Its first line says whether it is connected. session.py answers {"do": "places"}, {"do": "release"} and
{"do": "acquire", "place": ..., "wait_s": ...}. It holds one place at most, and ends with its standard input,
its parent (process PARENT), or a signal: what it holds or waits for is given back then.
"""

import asyncio
from collections.abc import Mapping
import json
import os
import signal
import sys

PARENT_S = 1.0
"""How often it looks whether its parent lives: a fork of the parent may keep the standard input open."""


def main(address: str, user: str, parent: str) -> int:
    """Exit code."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what labgrid prints is no answer

    def answer(told: Mapping) -> None:
        answers.write(json.dumps(told) + "\n")

    try:
        from holder import user_name
        from session import Session
    except ModuleNotFoundError as error:
        answer({"missing": error.name})
        return 1
    os.environ["LG_USERNAME"] = user_name(user)
    return asyncio.run(_serve(Session, address, int(parent), answer))


async def _serve(session_kind, address: str, parent: int, answer) -> int:
    session = session_kind(address)
    connected = await session.start()
    answer(connected)
    if "ready" not in connected:
        return 1
    signalled = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, signalled.set)
    tasks = [asyncio.create_task(task) for task in
             (_answer_all(session, answer), _orphaned(parent), session.gone.wait(), signalled.wait())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await session.close()
    return 0


async def _orphaned(parent: int) -> None:
    while os.getppid() == parent:
        await asyncio.sleep(PARENT_S)


async def _answer_all(session, answer) -> None:
    """Until standard input ends, which ends what is being done, too."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    coming = asyncio.create_task(lines.readline())
    while line := await coming:
        asked = json.loads(line)
        coming = asyncio.create_task(lines.readline())
        doing = asyncio.create_task(getattr(session, asked.pop("do"))(**asked))
        try:
            await asyncio.wait({doing, coming}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            doing.cancel()  # where it is not done
            told, = await asyncio.gather(doing, return_exceptions=True)
        answer(told if isinstance(told, Mapping) else {"failed": f"{type(told).__name__}: {told}"})


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

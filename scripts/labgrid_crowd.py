"""A full lab, in labgrid's environment: so many places at a coordinator, and so many who are connected.

    .venv-labgrid/bin/python scripts/labgrid_crowd.py COORDINATOR PLACES CLIENTS

prints a line once they are there, and stays until its standard input ends.
"""

import asyncio
import sys

import grpc
from labgrid.remote.client import ClientSession
from labgrid.remote.generated import labgrid_coordinator_pb2 as messages
from labgrid.remote.generated.labgrid_coordinator_pb2_grpc import CoordinatorStub

APART = [("grpc.use_local_subchannel_pool", 1)]
"""A connection each, as from computers of their own."""


async def main(address: str, places: str, clients: str) -> None:
    loop = asyncio.get_running_loop()
    sessions = [ClientSession(address, loop) for _ in range(int(clients))]
    for session in sessions:
        session.channel = grpc.aio.insecure_channel(address, APART)
        session.stub = CoordinatorStub(session.channel)
        await session.start()
    for i in range(int(places)):
        await sessions[0].stub.AddPlace(messages.AddPlaceRequest(name=f"place{i}"))
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

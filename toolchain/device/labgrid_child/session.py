"""One connection to a coordinator, and the place that it holds."""

import asyncio
from collections.abc import Mapping
import os
import time

import grpc
from holder import is_dead
from labgrid.remote.client import ClientSession
from labgrid.remote.common import Reservation, ReservationState
from labgrid.remote.generated import labgrid_coordinator_pb2 as messages
from labgrid.util.proxy import proxymanager

CONNECT_S = 15.0
POLL_S = 0.25
"""How often a reservation is looked at; the coordinator forgets one that nobody asks about for a minute."""
PORT = 20408


class Session:
    """What the parent may ask for. Every answer is a mapping that JSON can hold."""

    def __init__(self, address: str):
        target = proxymanager.get_grpc_address(address, default_port=PORT)
        self._client = ClientSession(target, asyncio.get_running_loop())
        self._me = f"{self._client.gethostname()}/{os.environ['LG_USERNAME']}"
        self._held: str | None = None

    @property
    def gone(self) -> asyncio.Event:
        """Set once the connection is over."""
        return self._client.stopping

    async def start(self) -> Mapping:
        try:
            await asyncio.wait_for(self._client.start(), CONNECT_S)
        except Exception as error:  # labgrid's own kinds, and grpc's
            told = str(error).removeprefix("Error: ")
            return {"unreachable": told or f"no answer within {CONNECT_S:g} s"}
        return {"ready": self._me}

    async def places(self) -> Mapping:
        """Every place, with who has it and what it offers."""
        await self._sync()
        return {"places": [self._told(place) for _, place in sorted(self._client.places.items())]}

    def _told(self, place) -> Mapping:
        kinds = [resource.cls for exporter, groups in sorted(self._client.resources.items())
                 for group, resources in sorted(groups.items())
                 for name, resource in sorted(resources.items())
                 if "cls" in resource.data and place.hasmatch((exporter, group, resource.cls, name))]
        computer = self._client.gethostname()
        return {"name": place.name, "tags": dict(place.tags), "kinds": kinds, "holder": place.acquired or "",
                "dead": is_dead(place.acquired or "", computer)}

    async def _sync(self) -> None:
        """Everything that has happened there is known here. labgrid would wait for ever on a connection that
        is over."""
        if self.gone.is_set() or not await self._client.sync_with_coordinator():
            raise ConnectionError("the coordinator is gone")

    async def acquire(self, place: str, wait_s: float) -> Mapping:
        """The place, ours from now on, and its resources; or why it is not."""
        await self._sync()
        if place not in self._client.places:
            return {"unknown": sorted(self._client.places)}
        deadline, turn = time.monotonic() + wait_s, _Turn(self._client, place)
        try:
            while (obstacle := await self._obstacle(place)) is not None:
                if "busy" not in obstacle or time.monotonic() >= deadline:
                    return obstacle
                await turn.wait(deadline)
        finally:
            await turn.give_up()
        found = self._client.get_target_resources(self._client.places[place])
        return {"resources": [
            {"kind": resource.cls, "name": name, "at": resource.args, "extra": resource.extra,
             "there": resource.avail}
            for (name, _), resource in found.items()]}

    async def _obstacle(self, name: str) -> Mapping | None:
        """Acquire the place; None where it is ours, else what is in the way. Takes over from the dead."""
        place = self._client.places[name]
        if is_dead(place.acquired or "", self._client.gethostname()):
            await self._release(name, place.acquired)
        self._held = name  # before it is: who is ended meanwhile gives it back
        try:
            await self._client.stub.AcquirePlace(messages.AcquirePlaceRequest(placename=name))
        except grpc.aio.AioRpcError as error:
            self._held = None
            await self._sync()
            if place.acquired:
                return {"busy": place.acquired}
            if error.code() is grpc.StatusCode.PERMISSION_DENIED:
                return {"busy": f"whoever has reserved it ({place.reservation})"}
            return {"refused": error.details()}
        await self._sync()
        return None

    async def release(self) -> Mapping:
        """Give the place back; whether it was ours all the time."""
        if self._held is None:
            return {"released": True}
        await self._sync()
        name, self._held = self._held, None
        place = self._client.places.get(name)
        if place is None or place.acquired != self._me:
            by = place.acquired if place else None
            return {"lost": f"somebody else released it{f', and {by} has it now' if by else ''}"}
        await self._release(name, self._me)
        return {"released": True}

    async def _release(self, name: str, holder: str) -> None:
        """Only from that holder, whatever happened meanwhile."""
        await self._client.stub.ReleasePlace(messages.ReleasePlaceRequest(placename=name, fromuser=holder))
        await self._sync()

    async def close(self) -> None:
        if self._held is not None and not self.gone.is_set():
            await self._release(self._held, self._me)
        await self._client.stop()
        await self._client.close()


class _Turn:
    """Our turn among those who wait for a place: a reservation of it, made once there is somebody else."""

    def __init__(self, client: ClientSession, name: str):
        self._client, self._name, self._token = client, name, None

    async def wait(self, deadline: float) -> None:
        """Until the place is reserved for us, its holder is dead, or the time is over."""
        if self._token is None:
            wanted = {"main": messages.Reservation.Filter(filter={"name": self._name})}
            made = await self._client.stub.CreateReservation(
                messages.CreateReservationRequest(filters=wanted, prio=0.0))
            self._token = made.reservation.token
        while time.monotonic() < deadline:
            await asyncio.sleep(POLL_S)
            polled = await self._client.stub.PollReservation(
                messages.PollReservationRequest(token=self._token))
            state = Reservation.from_pb2(polled.reservation).state
            if state is ReservationState.waiting:
                holder = self._client.places[self._name].acquired or ""
                if not is_dead(holder, self._client.gethostname()):
                    continue
            elif state is not ReservationState.allocated:
                self._token = None
            return

    async def give_up(self) -> None:
        if self._token is not None:
            await self._client.stub.CancelReservation(messages.CancelReservationRequest(token=self._token))

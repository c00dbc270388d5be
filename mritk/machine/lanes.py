"""Several trainings side by side on one device, in one thread.

A short step leaves most of a GPU idle while the host prepares the next one. Each lane is a greenlet
with a CUDA stream of its own. After a step it gives way to the next lane, so that the GPU has steps
of all of them at hand. All lanes share one thread: cuDNN keeps the kernels that it has built for a
thread, and between two calls of :func:`give_way` a lane is alone, so that nothing it uses has to be
safe for threads. Whoever draws random numbers seeds after giving way.

Outside of lanes the functions of this module do nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch

from mritk.machine.growth import Growth

if TYPE_CHECKING:
    from greenlet import greenlet

# Steps of a lane that wait for the device; the next one waits on the host, so that none blocks all.
AHEAD = 32
# Seconds after which the lanes are looked at again when all of them wait for the device.
PAUSE_S = 1e-4
# Of the memory expected, for workspaces of libraries and fragmentation.
ROOM = 1.25

R = TypeVar("R")


class _Stream:
    """The work of one lane on a GPU, in order: a CUDA stream."""

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        self._usual = torch.cuda.current_stream(self._device)
        self._own = torch.cuda.Stream(self._device)

    def enter(self) -> None:
        """Let what is computed from now on be this lane's."""
        torch.cuda.set_stream(self._own)

    def leave(self) -> None:
        """Let it be no lane's."""
        torch.cuda.set_stream(self._usual)

    def mark(self) -> torch.cuda.Event:
        """Return the end of what the lane has asked for so far, which tells whether it is done."""
        event = torch.cuda.Event()
        event.record(self._own)
        return event


class _Host:
    """The same on a processor, which has computed a step when it returns."""

    def enter(self) -> None: ...

    def leave(self) -> None: ...

    def mark(self) -> _Host:
        return self

    def query(self) -> bool:
        return True


Track = _Stream | _Host


class _Lane(Generic[R]):
    """One training, from its first turn to its result.

    Attributes:
        steps: Steps so far.
        images: Images of the steps that the device has computed.
        beside: The most lanes that there were at once, this one included.
        share: Seconds of the device, divided by the lanes that there were.
        memory: Bytes of the device that it is expected to need; 0: unknown.
    """

    def __init__(self, task: Callable[[], R], track: Track) -> None:
        from greenlet import greenlet

        self.greenlet: greenlet = greenlet(self._run)
        self.track, self._task = track, task
        self.result: R | None = None
        self.steps = self.images = self.memory = 0
        self.beside, self.share = 1, 0.0
        self._asked: deque[tuple[torch.cuda.Event | _Host, int]] = deque()
        self._waits = False

    def _run(self) -> None:
        self.result = self._task()

    @property
    def ready(self) -> bool:
        """Whether its next turn would not wait for the device."""
        while self._asked and self._asked[0][0].query():
            self.images += self._asked.popleft()[1]
        return not self._asked if self._waits else len(self._asked) < AHEAD

    def asked(self, images: int) -> None:
        """Note that a step is on its way."""
        self.steps += images > 0
        self._asked.append((self.track.mark(), images))

    def turn(self) -> None:
        """Run it until it gives way, ends or fails."""
        self.track.enter()
        try:
            self.greenlet.switch()
        finally:
            self.track.leave()

    def pass_on(self, *, until_computed: bool) -> None:
        """Let others run; called from within the lane."""
        self._waits = until_computed
        assert self.greenlet.parent is not None
        self.greenlet.parent.switch()
        self._waits = False


class Lanes(Generic[R]):
    """Runs tasks side by side.

    A lane is added while there are tasks, memory for one like the largest lane, and, unless
    their number is fixed, while the last one has made all of them together faster.

    Attributes:
        current: The lane whose turn it is.
    """

    def __init__(self, device: str, count: int | None = None) -> None:
        """Compute on ``device``, in ``count`` lanes; None: in as many as pay."""
        self._device, self._count = device, count
        self._lanes: deque[_Lane[R]] = deque()
        self._free: list[Track] = []
        self._too_many = 0
        self._growth = Growth()
        self._kind: object = None
        self.current: _Lane[R] | None = None

    def run(self, tasks: Iterator[tuple[object, Callable[[], R]]]) -> Iterator[R]:
        """Yield the result of each task when it has ended, in any order.

        Args:
            tasks: What makes tasks alike, such as their network, and the task. A task that raises
                ends all.
        """
        waiting = next(tasks, None)
        with _as_current(self):
            try:
                while self._lanes or waiting:
                    while waiting and self._another(waiting[0]):
                        self._lanes.append(_Lane(waiting[1], self._track()))
                        waiting = next(tasks, None)
                        self._note_neighbours()
                    lane = self._turn()
                    if lane.greenlet.dead:
                        self._lanes.remove(lane)
                        self._free.append(lane.track)  # what its stream keeps of memory, too
                        self._too_many = 0
                        yield lane.result  # type: ignore[misc]  # set by a lane that has ended
            finally:
                for lane in self._lanes:
                    lane.track.enter()
                    lane.greenlet.throw()
                    lane.track.leave()
                self._lanes.clear()

    def _track(self) -> Track:
        if self._free:
            return self._free.pop()
        return _Stream(self._device) if self._device.startswith("cuda") else _Host()

    def _another(self, kind: object) -> bool:
        """Tell whether to begin a task of this kind now."""
        running = len(self._lanes)
        if not running:
            self._kind = kind
            return True
        if self._count is not None:
            return running < self._count
        if kind != self._kind:
            self._growth.forget()
        self._kind = kind
        self._growth.look(list(self._lanes), time.monotonic())
        if running >= self._growth.width or running == self._too_many:
            return False
        if any(not lane.steps for lane in self._lanes):  # how much memory it needs is not known yet
            return False
        if not self._has_room():
            self._too_many = running  # until a lane ends: to ask for free memory takes time
            return False
        return True

    def _has_room(self) -> bool:
        """Tell whether another lane like the largest one fits into the memory of the device."""
        if not self._device.startswith("cuda"):
            return True
        place = torch.device(self._device)
        free, _ = torch.cuda.mem_get_info(place)
        held = torch.cuda.memory_reserved(place) - torch.cuda.memory_allocated(place)
        return free + held >= ROOM * max(lane.memory for lane in self._lanes)

    def _note_neighbours(self) -> None:
        for lane in self._lanes:
            lane.beside = max(lane.beside, len(self._lanes))

    def _turn(self) -> _Lane[R]:
        """Let the next lane that is ready run, and return it."""
        began = time.monotonic()
        while True:
            for _ in range(len(self._lanes)):
                lane = self._lanes[0]
                self._lanes.rotate(-1)
                if not lane.ready:
                    continue
                self.current = lane
                try:
                    lane.turn()
                finally:
                    self.current = None
                    share = (time.monotonic() - began) / len(self._lanes)
                    for one in self._lanes:
                        one.share += share
                return lane
            time.sleep(PAUSE_S)


_running: Lanes[Any] | None = None


@contextmanager
def _as_current(lanes: Lanes[Any]) -> Iterator[None]:
    global _running  # noqa: PLW0603 - as the stream that is current, it is one of the process
    before, _running = _running, lanes
    try:
        yield
    finally:
        _running = before


def _lane() -> _Lane[Any] | None:
    return None if _running is None else _running.current


def give_way(images: int = 0) -> None:
    """Let other lanes run after a step on so many images."""
    if (lane := _lane()) is not None:
        lane.asked(images)
        lane.pass_on(until_computed=False)


def until_computed() -> None:
    """Let other lanes run until the device has computed what this one has asked for."""
    if (lane := _lane()) is not None:
        lane.asked(0)
        lane.pass_on(until_computed=True)


def expect_memory(nbytes: int) -> None:
    """Tell how much memory of the device this lane is expected to need."""
    if (lane := _lane()) is not None:
        lane.memory = max(lane.memory, nbytes)


def at_once() -> int:
    """Return the most trainings that there were at once since this one began, itself included."""
    return 1 if (lane := _lane()) is None else lane.beside


def share_of(seconds: float) -> float:
    """Return what of these seconds since it began this training has had, lanes being equal."""
    return seconds if (lane := _lane()) is None else min(lane.share, seconds)

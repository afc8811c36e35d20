"""What must hold after every step of a simulated run: who may do what, how much is held, how long anything takes."""

from typing import TYPE_CHECKING, Final

from tests.simulation.secure import socket_below
from waitressd.net.progress import LOOKS, NEVER

if TYPE_CHECKING:
    from tests.simulation.world import World
    from waitressd.net.channel import Channel

SLACK_SECONDS: Final = 0.4  # beyond a deadline: a sweep, a takeover, a few steps
EVERY: Final = 3  # steps between two looks at all channels


class Watch:
    """Looks at a world. Raises SimulationError."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._since: dict[int, tuple[str, float]] = {}  # connection -> its state, and since when
        self._steps = 0

    def check(self) -> None:
        """Look at every channel, now and then."""
        self._steps += 1
        if self._steps % EVERY == 0:
            for channel in list(self._world.dispatcher.channels.values()):
                self._check_channel(channel)

    def check_tasks(self) -> None:
        """A request begins to run."""
        world = self._world
        threads = list(world.active.values())
        most = world.task_limit + sum(worker.is_replaced for worker in list(world.lane.workers))
        if len(threads) > most:
            world.scheduler.violate(f"{len(threads)} requests run, {most} may")
        if len(set(threads)) < len(threads):
            world.scheduler.violate("a thread runs two requests")

    def _check_channel(self, channel: "Channel") -> None:
        world = self._world
        now = world.scheduler.now
        sock = socket_below(channel.wire)
        number = sock.number
        phase = channel.phase
        if self._since.get(number, (None, 0))[0] != phase:
            self._since[number] = (phase, now)
            world.sometimes[f"state {phase.upper()}"] += 1
        since = self._since[number][1]
        outbuf = channel.exchange.outbuf
        if outbuf is not None:
            limits = world._settings.output
            if outbuf.pending_bytes > limits.outbuf_high_watermark + 50_000:
                world.scheduler.violate(f"{outbuf.pending_bytes} bytes wait for {number}")
        if channel.connection.reader.buffered_bytes > 2000 + 2 * 4096:
            world.scheduler.violate(f"{channel.connection.reader.buffered_bytes} bytes of {number} are read ahead")
        rests = now > since + SLACK_SECONDS  # and is not in the middle of a step
        if rests and phase != "running" and channel.deadline == NEVER:
            world.scheduler.violate(f"{number} has no deadline in state {phase}")
        moved_at = max(sock.received_at, sock.sent_at, sock.taken_at)
        limit = self._limit(phase, since, moved_at)
        if now > limit + SLACK_SECONDS:
            world.scheduler.violate(f"{number} is still {phase} after its deadline")

    def _limit(self, phase: str, since: float, moved_at: float) -> float:
        deadlines = self._world._settings.deadlines
        moved_at = max(since, moved_at)
        return {
            "idle": moved_at + self._world.bounds.channel_timeout,
            "head": since + deadlines.request_header_timeout,
            "body": moved_at + deadlines.channel_timeout,
            "queued": since + deadlines.queue_timeout,
            "flushing": moved_at + deadlines.send_timeout * (1 + 1 / LOOKS),
            "lingering": since + deadlines.linger_timeout,
        }.get(phase, NEVER)

    def check_end(self) -> None:
        """Nothing is left."""
        world = self._world
        violate = world.scheduler.violate
        if world.kernel.sockets:
            violate(f"descriptors are left: {list(world.kernel.sockets)}")
        if world.dispatcher.poller.masks:  # type: ignore[attr-defined]  # it is the simulated one
            violate("the poller still watches something")
        for body in world.bodies:
            if body.closed != 1:
                violate(f"an iterable was closed {body.closed} times")
        if any(not file.closed for file in world.files):
            violate("a file of the application is still open")
        if any(not file.closed for file in world.spools):
            violate("a temporary file is still open")
        if world.active:
            violate(f"requests still run: {world.active}")

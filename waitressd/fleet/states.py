"""Where the fleet, its workers, its templates and a reload are, and every move between their states.

A move that is not in its table is a mistake of the plan. What may happen because two processes speak at the same time
(a worker becomes ready while it is being killed) is in the tables.
"""

from enum import IntEnum
from typing import Final


class Life(IntEnum):
    """Where the whole fleet is in its life."""

    STARTING = 0  # no worker has ever served: a failure ends everything
    SERVING = 1  # a worker has served: failures are made good
    FAILING = 2  # given up: it stops by itself, with status 1
    STOPPING = 3  # told to stop: one deadline for all
    ABORTING = 4  # told again: what is left is cut off
    ENDED = 5  # nobody is left


class LifeMove(IntEnum):
    """What moves the whole fleet."""

    SERVE = 0  # a worker is ready
    GIVE_UP = 1  # it cannot be made good
    STOP = 2  # a signal
    END = 3  # the last process is gone


LIFE_TRANSITIONS: Final[dict[tuple[Life, LifeMove], Life]] = {
    (Life.STARTING, LifeMove.SERVE): Life.SERVING,
    (Life.STARTING, LifeMove.GIVE_UP): Life.FAILING,
    (Life.STARTING, LifeMove.STOP): Life.STOPPING,
    (Life.SERVING, LifeMove.SERVE): Life.SERVING,
    (Life.SERVING, LifeMove.GIVE_UP): Life.FAILING,
    (Life.SERVING, LifeMove.STOP): Life.STOPPING,
    (Life.FAILING, LifeMove.STOP): Life.STOPPING,
    (Life.FAILING, LifeMove.END): Life.ENDED,
    (Life.STOPPING, LifeMove.STOP): Life.ABORTING,
    (Life.STOPPING, LifeMove.END): Life.ENDED,
    (Life.ABORTING, LifeMove.STOP): Life.ABORTING,
    (Life.ABORTING, LifeMove.END): Life.ENDED,
}


class WorkerStage(IntEnum):
    """How far a worker has come."""

    BOOTING = 0  # asked for, not ready yet: worker_boot_timeout, then it is killed
    SERVING = 1  # it accepts: no deadline
    ASIDE = 2  # stuck, and told to accept nothing: ten times worker_stuck_timeout, then it aborts
    DRAINING = 3  # told to finish what it has: shutdown_timeout, then it aborts
    LEAVING = 4  # it finishes by its own decision (a signal of its own): the same deadline
    ABORTING = 5  # told to cut off what is left: a few seconds, then it is killed
    ENDING = 6  # killed, not reaped yet
    GONE = 7  # reaped


class WorkerMove(IntEnum):
    """What moves a worker."""

    READY = 0  # it says that it accepts
    SET_ASIDE = 1  # it is told to accept nothing: nothing of what it has ends
    DRAIN = 2  # it is told to finish
    LEAVE = 3  # it says that it finishes by itself
    ABORT = 4  # it is told to cut off
    KILL = 5  # it is killed
    DIE = 6  # it has been reaped, or was never born


WORKER_TRANSITIONS: Final[dict[tuple[WorkerStage, WorkerMove], WorkerStage]] = {
    (WorkerStage.BOOTING, WorkerMove.READY): WorkerStage.SERVING,
    (WorkerStage.BOOTING, WorkerMove.LEAVE): WorkerStage.LEAVING,
    (WorkerStage.BOOTING, WorkerMove.KILL): WorkerStage.ENDING,
    (WorkerStage.SERVING, WorkerMove.SET_ASIDE): WorkerStage.ASIDE,
    (WorkerStage.SERVING, WorkerMove.DRAIN): WorkerStage.DRAINING,
    (WorkerStage.SERVING, WorkerMove.LEAVE): WorkerStage.LEAVING,
    (WorkerStage.SERVING, WorkerMove.KILL): WorkerStage.ENDING,
    (WorkerStage.ASIDE, WorkerMove.DRAIN): WorkerStage.DRAINING,
    (WorkerStage.ASIDE, WorkerMove.LEAVE): WorkerStage.ASIDE,
    (WorkerStage.ASIDE, WorkerMove.ABORT): WorkerStage.ABORTING,
    (WorkerStage.ASIDE, WorkerMove.KILL): WorkerStage.ENDING,
    (WorkerStage.DRAINING, WorkerMove.LEAVE): WorkerStage.DRAINING,
    (WorkerStage.DRAINING, WorkerMove.ABORT): WorkerStage.ABORTING,
    (WorkerStage.LEAVING, WorkerMove.READY): WorkerStage.LEAVING,
    (WorkerStage.LEAVING, WorkerMove.LEAVE): WorkerStage.LEAVING,
    (WorkerStage.LEAVING, WorkerMove.ABORT): WorkerStage.ABORTING,
    (WorkerStage.ABORTING, WorkerMove.READY): WorkerStage.ABORTING,
    (WorkerStage.ABORTING, WorkerMove.LEAVE): WorkerStage.ABORTING,
    (WorkerStage.ABORTING, WorkerMove.KILL): WorkerStage.ENDING,
    (WorkerStage.ENDING, WorkerMove.READY): WorkerStage.ENDING,
    (WorkerStage.ENDING, WorkerMove.LEAVE): WorkerStage.ENDING,
    **{(stage, WorkerMove.DIE): WorkerStage.GONE for stage in WorkerStage if stage is not WorkerStage.GONE},
}


class TemplateStage(IntEnum):
    """How far the process has come that loads a code."""

    LOADING = 0  # it runs the command: worker_boot_timeout, then it is killed
    BINDING = 1  # it has said hello; its addresses are being bound: the same deadline
    READY = 2  # it waits for orders
    QUITTING = 3  # told to end: a few seconds, then it is killed
    ENDING = 4  # killed, not reaped yet
    GONE = 5  # reaped; or there never was one, because each worker runs the command itself


class TemplateMove(IntEnum):
    """What moves a template."""

    HELLO = 0  # it has loaded the application
    ACCEPT = 1  # its addresses are bound: workers may come of it
    QUIT = 2  # it is not wanted any more
    KILL = 3  # it is killed
    DIE = 4  # it has been reaped


TEMPLATE_TRANSITIONS: Final[dict[tuple[TemplateStage, TemplateMove], TemplateStage]] = {
    (TemplateStage.LOADING, TemplateMove.HELLO): TemplateStage.BINDING,
    (TemplateStage.LOADING, TemplateMove.KILL): TemplateStage.ENDING,
    (TemplateStage.BINDING, TemplateMove.ACCEPT): TemplateStage.READY,
    (TemplateStage.BINDING, TemplateMove.KILL): TemplateStage.ENDING,
    (TemplateStage.READY, TemplateMove.QUIT): TemplateStage.QUITTING,
    (TemplateStage.QUITTING, TemplateMove.KILL): TemplateStage.ENDING,
    **{(stage, TemplateMove.DIE): TemplateStage.GONE for stage in TemplateStage if stage is not TemplateStage.GONE},
}


class RollStage(IntEnum):
    """How far the replacement of all workers has come, after a reload."""

    QUIET = 0  # every worker has the code that it should have, or will get it by and by
    ROLLING = 1  # workers of the new code take the places of the old ones, one by one
    PROVING = 2  # all are new; the old template is kept for a while, in case they die
    BACK = 3  # the new code has failed: workers of the old code take their places again


class RollMove(IntEnum):
    """What moves the replacement."""

    BEGIN = 0  # a new code is accepted
    MOVED = 1  # the last worker of another generation is gone, and there is a way back
    SETTLE = 2  # the same, without a way back
    PROVED = 3  # the new workers have lived long enough
    ROLL_BACK = 4  # they have not


ROLL_TRANSITIONS: Final[dict[tuple[RollStage, RollMove], RollStage]] = {
    **{(stage, RollMove.BEGIN): RollStage.ROLLING for stage in RollStage},
    (RollStage.ROLLING, RollMove.MOVED): RollStage.PROVING,
    (RollStage.ROLLING, RollMove.SETTLE): RollStage.QUIET,
    (RollStage.ROLLING, RollMove.ROLL_BACK): RollStage.BACK,
    (RollStage.PROVING, RollMove.PROVED): RollStage.QUIET,
    (RollStage.PROVING, RollMove.ROLL_BACK): RollStage.BACK,
    (RollStage.BACK, RollMove.SETTLE): RollStage.QUIET,
}

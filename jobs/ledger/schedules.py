"""The recurring jobs: the table ``schedule``."""

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from jobs import slots
from jobs.ledger import moves
from jobs.ledger.database import take_turn
from jobs.ledger.records import NewJob, Schedule
from jobs.ledger.schema import schedule


def all_of_them(connection: Connection) -> list[Schedule]:
    """Return all schedules, by name."""
    return [_schedule(row) for row in connection.execute(select(schedule).order_by(schedule.c.name))]


def find(connection: Connection, name: str) -> Schedule | None:
    """Return one schedule, if there is one with that name."""
    if "\0" in name:  # PostgreSQL refuses the very question
        return None
    row = connection.execute(select(schedule).where(schedule.c.name == name)).first()
    return _schedule(row) if row is not None else None


def add(connection: Connection, new: Schedule) -> bool:
    """Write a schedule; ``False`` if there is one with that name."""
    take_turn(connection)
    if find(connection, new.name) is not None:
        return False
    connection.execute(insert(schedule).values(**vars(new)))
    return True


def change(connection: Connection, name: str, values: dict[str, Any]) -> Schedule | None:
    """Change columns of a schedule and return it; ``None`` if there is none with that name."""
    connection.execute(update(schedule).where(schedule.c.name == name).values(**values))
    return find(connection, name)


def remove(connection: Connection, name: str) -> bool:
    """Delete a schedule. Jobs that it has made stay. ``False`` if there is none with that name."""
    # PostgreSQL refuses a NUL character.
    return "\0" not in name and connection.execute(delete(schedule).where(schedule.c.name == name)).rowcount == 1


def due(connection: Connection, now: float) -> list[Schedule]:
    """Return the schedules whose next slot has come."""
    return [_schedule(row) for row in connection.execute(select(schedule).where(schedule.c.next_run_at <= now))]


def take_slot(connection: Connection, chosen: Schedule, queue: str, now: float) -> str | None:
    """Make the job of the slot that has come, and look ahead to the next slot after ``now``; return the job's id.

    Slots that were missed meanwhile share this job. ``None`` if the slot was taken, or the schedule changed, since it
    was read: job and next slot are written together, so that two who see the same slot make one job.
    """
    slot = chosen.next_run_at
    assert slot is not None
    new = NewJob(
        type=chosen.type,
        queue=queue,
        params=chosen.params,
        run_at=slot,
        submitted_by=f"schedule {chosen.name}",
    )
    taken = connection.execute(
        update(schedule)
        .where(schedule.c.name == chosen.name, schedule.c.next_run_at == slot)
        .values(next_run_at=next_slot(chosen, now, anchor=slot), last_run_at=slot, last_job_id=new.id)
    )
    if taken.rowcount == 0:
        return None
    moves.add(connection, new)
    return new.id


def next_slot(chosen: Schedule, after: float, anchor: float) -> float:
    """Return the first slot of a schedule after a moment; see :func:`jobs.slots.following`."""
    return upcoming(chosen, after, anchor, 1)[0]


def upcoming(chosen: Schedule, after: float, anchor: float, count: int) -> list[float]:
    """Return the next ``count`` slots of a schedule after a moment."""
    return slots.following(
        cron=chosen.cron, every=chosen.every, timezone=chosen.timezone, after=after, anchor=anchor, count=count
    )


def _schedule(row: Row[Any]) -> Schedule:
    return Schedule(**row._mapping)

"""Power cuts, simulated: everything that SQLite writes and syncs is recorded, and any moment of it can be the last.

SQLite reaches the disk through a table of functions (https://sqlite.org/vfs.html). :func:`record` puts its own in their
place, which note each write and truncation, and each sync once it is done. :func:`cuts` plays such a record up to a
moment and returns what a disk may hold then: all that was synced, and of what was not, any sectors and not the others.
SQLite's own developers test it so (https://sqlite.org/testing.html#crash_testing).
"""

import ctypes
import os
import pickle
import random
from collections.abc import Iterator, Sequence
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

#: What a disk writes whole or not at all.
SECTOR = 512

_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)


class _Vfs(Structure):
    _fields_ = (
        ("version_and_sizes", c_int * 3),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", c_void_p),
    )  # and more that is left alone


class _File(Structure):
    _fields_ = (("methods", c_void_p),)


class _Methods(Structure):
    _fields_ = (
        ("version", c_int),
        ("close", c_void_p),
        ("read", c_void_p),
        ("write", c_void_p),
        ("truncate", c_void_p),
        ("sync", c_void_p),
        ("others", c_void_p * 13),
    )


class Event(NamedTuple):
    """One thing that happened, in the order in which it did."""

    #: "write", "truncate" or "sync" of a file; or "asked" or "promised" by whoever used the ledger.
    kind: str
    #: The file's name; or the job's id.
    name: str
    offset: int = 0
    data: Any = b""


class Log:
    """A file to which several processes append events."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, event: Event) -> None:
        """Append an event, whole: one write to a file that is opened for appending."""
        os.write(self._descriptor, pickle.dumps(tuple(event)))


def events(path: Path) -> list[Event]:
    """Return what was recorded."""
    found = []
    with path.open("rb") as file:
        while file.peek(1):
            found.append(Event(*pickle.load(file)))
    return found


#: What C calls must not be collected.
_kept: list[Any] = []


def record(library: str, log: Log) -> None:
    """Note what the SQLite in this shared library writes from now on, in this process, until its end."""
    sqlite = ctypes.CDLL(library)
    sqlite.sqlite3_vfs_find.restype = POINTER(_Vfs)
    vfs = sqlite.sqlite3_vfs_find(None).contents
    names: dict[int, str] = {}
    tables: dict[int, _Methods] = {}
    open_ = _OPEN(vfs.open)

    def recording(original: _Methods) -> _Methods:
        write, truncate, sync = _WRITE(original.write), _TRUNCATE(original.truncate), _SYNC(original.sync)

        def on_write(file: int, data: int, size: int, offset: int) -> int:
            log.add(Event("write", names[file], offset, ctypes.string_at(data, size)))
            return int(write(file, data, size, offset))

        def on_truncate(file: int, size: int) -> int:
            log.add(Event("truncate", names[file], size))
            return int(truncate(file, size))

        def on_sync(file: int, flags: int) -> int:
            status = int(sync(file, flags))
            log.add(Event("sync", names[file]))
            return status

        hooks = _WRITE(on_write), _TRUNCATE(on_truncate), _SYNC(on_sync)
        made = _Methods.from_buffer_copy(original)
        made.write, made.truncate, made.sync = (ctypes.cast(hook, c_void_p).value for hook in hooks)
        _kept.extend([made, hooks])
        return made

    def on_open(vfs_: int, name: int | None, file: int, flags: int, out: int) -> int:
        status = int(open_(vfs_, name, file, flags, out))
        opened = _File.from_address(file)
        if status == 0 and name is not None and opened.methods:
            if opened.methods not in tables:
                tables[opened.methods] = recording(_Methods.from_address(opened.methods))
            names[file] = Path(os.fsdecode(ctypes.string_at(name))).name
            opened.methods = ctypes.addressof(tables[opened.methods])
        return status

    hook = _OPEN(on_open)
    _kept.extend([hook, names])
    vfs.open = ctypes.cast(hook, c_void_p).value


@dataclass
class _Disk:
    """One file: what of it is on disk for certain, and what was written since."""

    safe: bytearray = field(default_factory=bytearray)
    unsafe: list[Event] = field(default_factory=list)

    def sync(self) -> None:
        for event in self.unsafe:
            _apply(self.safe, event)
        self.unsafe.clear()

    def after_a_cut(self, chance: random.Random) -> bytes:
        left = bytearray(self.safe)
        # None, all or some of it: a share drawn for each cut makes the extremes as likely as the middle.
        share = chance.choice([0.0, 1.0, chance.random()])
        for event in self.unsafe:
            if event.kind == "truncate":
                if chance.random() < share:
                    _apply(left, event)
                continue
            for start in range(0, len(event.data), SECTOR):
                if chance.random() < share:
                    sector = event.data[start : start + SECTOR]
                    _apply(left, event._replace(offset=event.offset + start, data=sector))
        return bytes(left)


def _apply(content: bytearray, event: Event) -> None:
    if event.kind == "truncate":
        del content[event.offset :]
        return
    content.extend(bytes(max(0, event.offset - len(content))))
    content[event.offset : event.offset + len(event.data)] = event.data


class Cut(NamedTuple):
    """What there is after a power cut."""

    files: dict[str, bytes]
    #: By job, what was promised before: the data of the last such event.
    promised: dict[str, Any]


def cuts(
    happened: Sequence[Event],
    before: dict[str, bytes],
    count: int,
    chance: random.Random,
    *,
    promise: str = "promised",
    syncs: bool = True,
) -> Iterator[Cut]:
    """Yield what a power cut may leave at ``count`` moments, drawn by ``chance``, of what happened to some files.

    Two things can be wrong on purpose, to see that it is noticed: with ``promise="asked"`` promises count as made
    before the work is done, and without ``syncs`` the disk says that it has written when it has not.
    """
    disks = {name: _Disk(bytearray(content)) for name, content in before.items()}
    moments = sorted(chance.sample(range(len(happened)), min(count, len(happened))))
    promised: dict[str, Any] = {}
    for number, event in enumerate(happened):
        if event.kind == promise:
            promised[event.name] = event.data
        elif event.kind == "sync" and syncs:
            disks[event.name].sync()
        elif event.kind in ("write", "truncate"):
            disks.setdefault(event.name, _Disk()).unsafe.append(event)
        if moments and number == moments[0]:
            moments.pop(0)
            yield Cut({name: disk.after_a_cut(chance) for name, disk in disks.items()}, dict(promised))

"""Simulated power cuts: all that SQLite writes and syncs is recorded, and the power can fail at any moment of it.

SQLite reaches the disk through a table of functions (https://sqlite.org/vfs.html). :func:`record` replaces some of
them. Its own functions note each write, each truncation, and each sync after it is done. :func:`cuts` replays such a
record up to a moment. It returns what a disk may hold then: everything that was synced, and a random part of the
sectors that were not. SQLite's own developers test in this way (https://sqlite.org/testing.html#crash_testing).
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

#: Bytes that a disk writes either completely or not at all.
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
    )  # the real structure has more fields, which are not used here


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
    """One thing that happened. Events are recorded in their order."""

    #: "write", "truncate" or "sync" of a file; or "asked" or "promised", from the program that uses the ledger.
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
        """Append an event with a single write, so that events of several processes do not mix."""
        os.write(self._descriptor, pickle.dumps(tuple(event)))


def events(path: Path) -> list[Event]:
    """Return the recorded events."""
    found = []
    with path.open("rb") as file:
        while file.peek(1):
            found.append(Event(*pickle.load(file)))
    return found


#: Functions and tables that C calls. Python must not free them.
_kept: list[Any] = []


def record(library: str, log: Log) -> None:
    """From now on, log what the SQLite in this shared library writes in this process."""
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
    """One file: the content that is certainly on disk, and the events since the last sync."""

    safe: bytearray = field(default_factory=bytearray)
    unsafe: list[Event] = field(default_factory=list)

    def sync(self) -> None:
        for event in self.unsafe:
            _apply(self.safe, event)
        self.unsafe.clear()

    def after_a_cut(self, chance: random.Random) -> bytes:
        left = bytearray(self.safe)
        # Keep nothing, everything or a part. Each of these three is equally likely.
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
    """What is left after a power cut."""

    files: dict[str, bytes]
    #: What was promised before the cut, by job: the data of the job's last promise.
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
    """Yield what a power cut may leave of some files, at ``count`` random moments of what happened to them.

    ``before`` has the content of each file at the start, and ``chance`` draws the moments. Two options make mistakes on
    purpose, so that a test can see that they are noticed. With ``promise="asked"`` a promise counts before its work is
    done. With ``syncs=False`` the disk ignores every sync.
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

"""How connections to each kind of database are made, and how transactions begin on them."""

from typing import Any

from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from jobs.ledger.failover import Absence

#: Seconds that a statement waits for a lock held by somebody outside of Warren.
BUSY_TIMEOUT = 3.0

#: Pages in SQLite's write-ahead log that make a checkpoint due. It runs in the commit that reaches them, while other
#: writers wait: many small ones keep them for less long than a few large ones, and cost the same.
CHECKPOINT_PAGES = 1000

#: Connections of a process: those that stay open, and how many more there may be for a moment.
POOL = {"pool_size": 8, "max_overflow": 56}

#: How each end finds out that the machine at the other one is dead, while it waits for it to say something: 9 s.
KEEPALIVE = {"idle": 3, "interval": 2, "count": 3}

#: What libpq waits for, unless the address says otherwise: seconds for a connection; milliseconds until what was sent
#: has arrived, after which the machine at the other end counts as dead.
REACH = {
    "connect_timeout": 3,
    "tcp_user_timeout": 5000,
    **{f"keepalives_{name}": value for name, value in KEEPALIVE.items()},
}


def connect_to_sqlite(url: URL) -> Engine:
    """Return an engine whose readers never wait, and whose writers take the one write lock when they begin."""
    # Debian's SQLite (3.46) has the WAL-reset bug that 3.51.3 mends; this wheel carries a newer one.
    import pysqlite3.dbapi2

    engine = create_engine(url, module=pysqlite3.dbapi2, **POOL)

    @event.listens_for(engine, "connect")
    def _configure(dbapi_connection: pysqlite3.dbapi2.Connection, _entry: ConnectionPoolEntry) -> None:
        dbapi_connection.isolation_level = None  # transactions begin where we say, below
        for pragma in (
            "journal_mode = WAL",
            f"busy_timeout = {int(BUSY_TIMEOUT * 1000)}",
            f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
            "journal_size_limit = 67108864",
        ):
            dbapi_connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("isolation_level") != "AUTOCOMMIT":
            # FULL: the commit returns after fsync.
            synchronous = "FULL" if options["durable"] else "NORMAL"
            if connection.info.get("synchronous") != synchronous:
                connection.exec_driver_sql(f"PRAGMA synchronous = {synchronous}")
                connection.info["synchronous"] = synchronous
            # IMMEDIATE: take the write lock now. A lock upgraded later fails at once instead of waiting.
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def connect_to_postgresql(url: URL, patience: float = 0) -> Engine:
    """Return an engine whose transactions see what others have committed before each statement (READ COMMITTED).

    While no server takes writes, connecting waits for one, for so many seconds (see :class:`Absence`).
    The server ends a transaction that does nothing for 10 s: its process may be paused or its machine dead, and others
    wait for the rows that it has locked.
    """
    import psycopg  # a ledger on SQLite starts without it

    options = {
        "lock_timeout": int(BUSY_TIMEOUT * 1000),
        "idle_in_transaction_session_timeout": 10_000,
        **{f"tcp_keepalives_{name}": value for name, value in KEEPALIVE.items()},
    }
    wanted = {**REACH, "options": " ".join(f"-c {name}={value}" for name, value in options.items())}
    chosen = {name: value for name, value in wanted.items() if name not in url.query}
    engine = create_engine(url, connect_args=chosen, pool_pre_ping=True, **POOL)
    absence = Absence(patience, psycopg.OperationalError)

    @event.listens_for(engine, "do_connect")
    def _connect(dialect: Dialect, _entry: ConnectionPoolEntry, arguments: list[Any], options: dict[str, Any]) -> Any:
        return absence.connect(lambda: dialect.connect(*arguments, **options))

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if not connection.get_execution_options().get("durable", True):
            connection.exec_driver_sql("SET LOCAL synchronous_commit = off")

    return engine

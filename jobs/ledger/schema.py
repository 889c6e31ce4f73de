"""Tables of the ledger. Times are seconds since the epoch (UTC)."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
    literal_column,
)

metadata = MetaData()

#: SQLite gives an INTEGER PRIMARY KEY its fast path only under exactly that type name.
_Sequence = BigInteger().with_variant(Integer, "sqlite")

job = Table(
    "job",
    metadata,
    # Order of acceptance: what lists are sorted and paged by.
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("type", String(64), nullable=False),
    Column("queue", String(64), nullable=False),
    Column("params", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    # 0, or more for a job that goes before others: see `records.Priority`.
    Column("priority", Integer, nullable=False, default=0, server_default="0"),
    # Of the HTTP request that has led to it, where there was one: joins the lines of all logs.
    Column("request_id", String(64)),
    # Who wanted it, as the audit calls them: a person, a token or a schedule. NULL where nobody has to log in.
    Column("submitted_by", String(80)),
    # The job that this one repeats, if it is a retry that somebody asked for.
    Column("retry_of", String(36)),
    Column("created_at", Float, nullable=False),
    # Not to be started before, if the client said so.
    Column("run_at", Float),
    # When the row must be published (again); NULL while the broker or a worker has it. First run, run-at, retry,
    # back-off and recovery are all this one column.
    Column("due_at", Float),
    Column("published_at", Float),
    Column("started_at", Float),
    Column("ended_at", Float),
    # Claims so far. Also the fencing token: a report from an older claim no longer fits and is dropped.
    Column("attempts", Integer, nullable=False, default=0, server_default="0"),
    # How many of those ended in a retry that the task asked for, and how many with the death of the worker process.
    Column("retries", Integer, nullable=False, default=0, server_default="0"),
    Column("deaths", Integer, nullable=False, default=0, server_default="0"),
    # The worker that holds the claim: a `worker.id`.
    Column("worker", String(128)),
    Column("progress", Integer, nullable=False, default=0, server_default="0"),
    Column("info", JSON(none_as_null=True)),
    Column("result", JSON(none_as_null=True)),
    # Why the job failed, was retried or was cancelled: one plain sentence.
    Column("error", Text),
    # The group of failed jobs that it belongs to: a `failure.key`.
    Column("failure", String(16)),
    sqlite_autoincrement=True,
)

# Every index is written at every move of a job, so there are few, and each answers several questions.
# Lists by state, by type and by both: a short walk for each state or type that is not given.
Index("job_state", job.c.state, job.c.type, job.c.seq)
# Partial ones: what is asked every second must not grow with the jobs that are over.
# With the queue, so that scheduled jobs are counted from the index alone.
Index(
    "job_due",
    job.c.due_at,
    job.c.queue,
    sqlite_where=job.c.due_at.is_not(None),
    postgresql_where=job.c.due_at.is_not(None),
)
_URGENT = job.c.due_at.is_not(None) & (job.c.priority > 0)
Index("job_urgent", job.c.due_at, sqlite_where=_URGENT, postgresql_where=_URGENT)
Index(
    "job_open",
    job.c.state,
    job.c.queue,
    sqlite_where=job.c.ended_at.is_(None),
    postgresql_where=job.c.ended_at.is_(None),
)
Index(
    "job_ended", job.c.ended_at, sqlite_where=job.c.ended_at.is_not(None), postgresql_where=job.c.ended_at.is_not(None)
)
_IS_RETRY = job.c.retry_of.is_not(None)
Index("job_retry_of", job.c.retry_of, job.c.seq, sqlite_where=_IS_RETRY, postgresql_where=_IS_RETRY)
_HAS_FAILED = job.c.failure.is_not(None)
Index("job_failure", job.c.failure, job.c.seq, sqlite_where=_HAS_FAILED, postgresql_where=_HAS_FAILED)

#: Attempts that ended in another one: the row of the job tells of the last attempt only.
attempt = Table(
    "attempt",
    metadata,
    Column("job_id", String(36), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("worker", String(128)),
    Column("started_at", Float),
    Column("ended_at", Float, nullable=False),
    # Why there had to be another: one plain sentence.
    Column("error", Text),
)
Index("attempt_ended", attempt.c.ended_at)

#: What runs have reported of their progress: see `reports`.
report = Table(
    "report",
    metadata,
    Column("job_id", String(36), primary_key=True),
    Column("run", Integer, primary_key=True, autoincrement=False),
    # Which twentieth of its way the run had come to.
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("percent", Integer, nullable=False),
    Column("message", Text, nullable=False),
    sqlite_with_rowid=False,
)

#: Where the exceptions of failed jobs came from: text for people, see `jobs.worker.trace`.
traceback = Table(
    "traceback",
    metadata,
    Column("job_id", String(36), primary_key=True),
    Column("text", Text, nullable=False),
)

#: Jobs that failed alike: see `records.FailureGroup`.
failure = Table(
    "failure",
    metadata,
    # By `jobs.fingerprint`, of the kind of job and the message.
    Column("key", String(16), primary_key=True),
    Column("type", String(64), nullable=False),
    # The sentence, with placeholders for its variable parts.
    Column("message", Text, nullable=False),
    # Jobs of the group that the ledger has.
    Column("jobs", Integer, nullable=False),
    # When the group began, and when the last job failed.
    Column("first_at", Float, nullable=False),
    Column("last_at", Float, nullable=False),
)
Index("failure_last", failure.c.last_at, failure.c.key)

#: How many jobs of a group failed in an hour. A day later the slot counts another hour, so no row has to be removed.
failure_hour = Table(
    "failure_hour",
    metadata,
    Column("key", String(16), primary_key=True),
    # The hour of the day, UTC.
    Column("slot", Integer, primary_key=True, autoincrement=False),
    # Hours since the epoch.
    Column("hour", Integer, nullable=False),
    Column("jobs", Integer, nullable=False),
)

#: Blocks of jobs whose words are not in the index; of the last one and what comes after it, none are: see `words`.
search_gap = Table(
    "search_gap",
    metadata,
    Column("block", BigInteger, primary_key=True, autoincrement=False),
)

worker = Table(
    "worker",
    metadata,
    # One start of one worker: its container's name and a random part.
    Column("id", String(128), primary_key=True),
    Column("name", String(96), nullable=False),
    Column("queues", Text, nullable=False),
    Column("concurrency", Integer, nullable=False),
    Column("started_at", Float, nullable=False),
    # The lease: renewed about every second; a worker silent for WORKER_LEASE seconds counts as dead.
    Column("seen_at", Float, nullable=False),
    # Bytes that its container uses, and may use; NULL where that cannot be read.
    Column("memory", BigInteger),
    Column("memory_limit", BigInteger),
)

#: The autoscaler that looked last: one row, or none if there was never one. See `autoscaler.Autoscaler`.
autoscaler = Table(
    "autoscaler",
    metadata,
    Column("started_at", Float, primary_key=True),
    Column("seen_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("queues", Text, nullable=False),
    Column("min_workers", Integer, nullable=False),
    Column("max_workers", Integer, nullable=False),
    Column("wait", Float, nullable=False),
    Column("cooldown", Float, nullable=False),
    Column("workers", Integer, nullable=False),
    Column("wanted", Integer, nullable=False),
)

#: What it has said: the last hundred lines.
autoscaler_line = Table(
    "autoscaler_line",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("text", Text, nullable=False),
)

#: A key that a client gave with a submission, so that sending it again does not make a second job.
idempotency = Table(
    "idempotency",
    metadata,
    Column("key", String(255), primary_key=True),
    # SHA-256 of what was submitted: the same key with another body is a mistake of the client.
    Column("fingerprint", String(64), nullable=False),
    Column("job_id", String(36), nullable=False),
    Column("created_at", Float, nullable=False),
)
Index("idempotency_created", idempotency.c.created_at)

#: Mails of `email_sending`: the row is written before the mail is sent, so that no run sends it again.
mail = Table(
    "mail",
    metadata,
    Column("job_id", String(36), primary_key=True),
    Column("number", Integer, primary_key=True),
    # NULL: being sent, or nobody knows, because the worker died in that moment.
    Column("sent", Boolean),
)

#: What the queues looked like at one moment: see `records.QueueSample`. Of the last hour every few seconds, of the last
#: day one in each minute.
sample = Table(
    "sample",
    metadata,
    Column("at", Float, primary_key=True),
    Column("name", String(64), primary_key=True),
    # Messages, and who takes them; NULL when RabbitMQ did not answer.
    Column("ready", Integer),
    Column("unacknowledged", Integer),
    Column("consumers", Integer),
    # Jobs that have not ended, and those of them whose time has not come.
    Column("unfinished", Integer, nullable=False),
    Column("scheduled", Integer, nullable=False),
    # Jobs accepted and ended per second, over the last minute.
    Column("in_rate", Float, nullable=False),
    Column("out_rate", Float, nullable=False),
    Column("paused", Boolean, nullable=False, default=False, server_default=false()),
    # The first one of its minute: it is kept for longer.
    Column("of_minute", Boolean, nullable=False, default=False, server_default=false()),
)

#: What became of the jobs of one kind in one minute or hour: see `summaries`.
summary = Table(
    "summary",
    metadata,
    # Seconds of the slot, 60 or 3600; and which one it is, counted from the epoch.
    Column("span", Integer, primary_key=True, autoincrement=False),
    Column("type", String(64), primary_key=True),
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("succeeded", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("cancelled", Integer, nullable=False),
    # How many jobs are in each bucket of `jobs.histogram`: by the time before the first run, and that of the last run.
    Column("waits", JSON, nullable=False),
    Column("runs", JSON, nullable=False),
)

#: How far something has come that is done little by little.
mark = Table(
    "mark",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("at", Float, nullable=False),
)

#: The queues of which no job is started until they are resumed.
paused_queue = Table(
    "paused_queue",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("paused_at", Float, nullable=False),
)

#: Recurring jobs: see `records.Schedule`.
schedule = Table(
    "schedule",
    metadata,
    Column("name", String(64), primary_key=True),
    # One of these two says when.
    Column("cron", String(128)),
    Column("every", Float),
    Column("timezone", String(64), nullable=False),
    Column("type", String(64), nullable=False),
    Column("params", JSON, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("created_at", Float, nullable=False),
    # The slot that comes next; NULL while it is paused.
    Column("next_run_at", Float),
    Column("last_run_at", Float),
    Column("last_job_id", String(36)),
)

#: What is to be told by each channel, one row for each reason: see `notices`.
notice = Table(
    "notice",
    metadata,
    Column("channel", String(16), primary_key=True),
    # `failed:` and a kind of job, or `health:` and a part of the stack.
    Column("reason", String(96), primary_key=True),
    # What has happened since the last notice: how often, when, and the newest of it in one plain sentence.
    Column("times", Integer, nullable=False),
    Column("first_at", Float, nullable=False),
    Column("last_at", Float, nullable=False),
    Column("sentence", Text, nullable=False),
    # The job that the sentence is about, or whether the part of the stack is well.
    Column("job_id", String(36)),
    Column("well", Boolean),
    # The notice that is being delivered, as it is sent each time that it is tried; NULL while there is none.
    Column("delivery_id", String(36)),
    Column("body", Text),
    Column("tries", Integer, nullable=False, default=0, server_default="0"),
    # Nothing is sent before.
    Column("next_at", Float, nullable=False, default=0, server_default="0"),
)

todo = Table(
    "todo",
    metadata,
    Column("id", _Sequence, primary_key=True, autoincrement=True),
    Column("text", String(500), nullable=False),
    Column("done", Boolean, nullable=False),
    Column("created_at", Float, nullable=False),
    # NULL: it is there. A deleted one can be restored for a while.
    Column("deleted_at", Float),
    sqlite_autoincrement=True,
)

#: Files of exports, where the ledger is in PostgreSQL: see `files`.
export_file = Table(
    "export_file",
    metadata,
    Column("job_id", String(36), primary_key=True),
    # The run that has written it.
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("written_at", Float, nullable=False),
    # In bytes. NULL: it is not whole yet.
    Column("size", BigInteger),
)

#: What is in them: chunks of `files.CHUNK` bytes, of which the last one may be shorter.
export_chunk = Table(
    "export_chunk",
    metadata,
    Column("job_id", String(36), primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

#: People who may log in.
account = Table(
    "account",
    metadata,
    Column("name", String(64), primary_key=True),
    # By argon2, with its parameters and its salt.
    Column("password_hash", String(255), nullable=False),
    Column("role", String(16), nullable=False),
    # Random, and in each session: a new one ends all sessions that began before.
    Column("stamp", String(32), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("last_login_at", Float),
)

#: What programs identify themselves with.
token = Table(
    "token",
    metadata,
    Column("name", String(64), primary_key=True),
    # SHA-256 of the token, which is 32 random bytes: nobody can guess it, so a slow hash would protect nothing.
    Column("digest", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    # To the minute.
    Column("last_used_at", Float),
    # How many jobs it has submitted in the minute that began then: counted only where that is limited.
    Column("minute_began_at", Float, nullable=False, server_default="0"),
    Column("submissions", Integer, nullable=False, server_default="0"),
)

#: Tries to log in that failed, since the last one that did not: by account and by address.
login_failure = Table(
    "login_failure",
    metadata,
    Column("subject", String(128), primary_key=True),
    Column("times", Integer, nullable=False),
    Column("last_at", Float, nullable=False),
)

#: Who did what: see `records.AuditEntry`.
audit = Table(
    "audit",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("who", String(80), nullable=False),
    Column("role", String(16), nullable=False),
    Column("address", String(64), nullable=False),
    Column("action", String(32), nullable=False),
    # The job, or the name of what else was changed.
    Column("subject", String(128), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    sqlite_autoincrement=True,
)
#: What was done to something that was there already. Submissions are nearly all of the audit, and their ids are random:
#: in the index, each would write a page of its own, and a commit be half as long again.
IS_NO_SUBMISSION = audit.c.action != literal_column("'submit'")
Index("audit_subject", audit.c.subject, sqlite_where=IS_NO_SUBMISSION, postgresql_where=IS_NO_SUBMISSION)

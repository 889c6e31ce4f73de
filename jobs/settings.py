"""Settings of the Python side, read from the environment that ``settings.sh`` prepares."""

from functools import cache
from pathlib import Path
from urllib.parse import quote

from pydantic import Field
from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    """One attribute per environment variable of the same name; times are in seconds."""

    database_url: str = "sqlite:////db/backend.db"
    #: For how long a request waits for a PostgreSQL that is renewed, or for another one that takes over.
    ledger_patience: float = Field(0, ge=0)
    broker_host: str = "localhost"
    broker_user: str = "publisher"
    monitor_user: str = "monitor"
    #: Where ``database_url``, passwords, ``smtp_url`` and the addresses of notices are mounted, where needed.
    secrets_dir: Path = Path("/run/secrets")

    backlog_limit: int = Field(100_000, ge=1)
    max_deliveries: int = Field(5, ge=1)
    worker_lease: float = Field(10, gt=2)
    result_expires: float = Field(604_800, gt=0)

    exports_dir: Path = Path("/exports")
    export_expires: float = Field(86_400, gt=0)

    worker_name: str = "worker"
    celery_queues: str = "heavy,export,arithmetic"
    celery_concurrency: int = Field(8, ge=1)
    celery_prefetch: int = Field(4, ge=1)
    stop_timeout: float = Field(30, gt=0)
    retire_timeout: float = Field(1200, gt=0)
    #: Whether Celery's own commands reach the worker; Flower asks by them.
    remote_control: bool = True

    #: Whether people and programs have to say who they are.
    auth: bool = False
    #: How long a person stays logged in.
    session_lifetime: float = Field(43_200, gt=0)
    #: Most jobs that a token may submit in a minute; 0: as many as it likes.
    token_submissions: int = Field(0, ge=0)
    #: How long it is kept who did what.
    audit_expires: float = Field(31_536_000, gt=0)

    #: The prefix of the stack, by which it calls itself in notices.
    stack: str = "my"
    #: The channels that notices go to: ``webhook``, ``mail``, both with a comma between them, or none.
    notices: str = ""

    @property
    def notice_channels(self) -> list[str]:
        """The channels that notices go to; an empty list if nobody asked for notices."""
        return self.notices.split(",") if self.notices else []

    @property
    def ledger_url(self) -> str:
        """Address of the ledger's database: the mounted secret, or ``DATABASE_URL`` where there is none (tests)."""
        return self.secret("database_url") or self.database_url

    @property
    def broker_url(self) -> str:
        """AMQP address of the broker, with the password of this container's user."""
        return f"amqp://{self.broker_user}:{quote(self.secret('broker_password'))}@{self.broker_host}:5672/warren"

    def secret(self, name: str) -> str:
        """Content of a mounted secret, or an empty string where it is not mounted (unit tests, a shell)."""
        path = self.secrets_dir / name
        return path.read_text().strip() if path.exists() else ""


@cache
def settings() -> Settings:
    """Return the process-wide settings, read once."""
    return Settings()

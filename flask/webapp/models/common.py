"""What the models of several resources share."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from jobs.catalogue import JOB_TYPES

#: Rows of a page, unless the client asks for fewer or more.
PAGE = 50
LARGEST_PAGE = 500

if TYPE_CHECKING:
    TaskType = str
else:
    TaskType = Literal[tuple(JOB_TYPES)]
PriorityWord = Literal["normal", "high"]
Timestamp = Annotated[str | None, Field(description="ISO 8601, UTC.", json_schema_extra={"format": "date-time"})]


class Strict(BaseModel):
    """What a client sends: unknown names are errors."""

    model_config = ConfigDict(extra="forbid")


class PageQuery(Strict):
    """Query of a list."""

    limit: int = Field(PAGE, ge=1, le=LARGEST_PAGE, description="Rows of the page.")
    cursor: str | None = Field(None, max_length=64, description="`next` of the page before.")

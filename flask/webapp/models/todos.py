"""To-dos."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool
from pydantic_core import PydanticCustomError

from webapp.models.common import PageQuery, Strict, Timestamp

# Anything but these has to be seen: spaces of all kinds, and control characters.
_BLANK = r"\x00-\x20\x7f-\xa0\xad\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
# No NUL character: PostgreSQL cannot store it.
_TODO = rf"^[^\x00]*[^{_BLANK}][^\x00]*$"


def _not_blank(text: Any) -> Any:
    if isinstance(text, str) and len(text) > 0 and re.fullmatch(rf"[{_BLANK}]*", text):
        raise PydanticCustomError("blank", "Input should not be blank")
    return text


TodoText = Annotated[
    str,
    Field(min_length=1, max_length=500, pattern=_TODO, examples=["water the plants"]),
    BeforeValidator(_not_blank),
]


class NewTodo(Strict):
    """A to-do to add."""

    text: TodoText
    done: StrictBool = False


class TodoChange(Strict):
    """What to change of a to-do; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    text: TodoText | None = None
    done: StrictBool | None = None


class TodoView(BaseModel):
    """A to-do."""

    id: int
    text: str
    done: bool
    created_at: Timestamp


class TodoPage(BaseModel):
    """A page of to-dos, oldest first."""

    data: list[TodoView]
    next: str | None


class TodosQuery(PageQuery):
    """Query of the list of to-dos."""

    done: bool | None = Field(None, description="Only those that are done, or only those that are not.")

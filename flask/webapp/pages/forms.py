"""Forms for jobs and schedules, made from the catalogue: a field for each parameter, and errors beside their fields.

What a form may send is what the API accepts: fields come from the JSON schema of the parameter model, and a filled-in
form is checked as the body of the API's request is.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any

from jobs.catalogue import JOB_TYPES, JobType
from jobs.ledger.records import Job, Priority
from jobs.numbers import plain
from webapp.models.schedules import NewSchedule
from webapp.models.submissions import Submission
from webapp.problems import Problem, checked

#: Texts that may be longer than this get a field of several lines.
ONE_LINE = 500
#: A limit that is not worth telling.
SAYS_NOTHING = 1e9


@dataclass(frozen=True, kw_only=True)
class FormField:
    """One field of a form."""

    #: Where its value belongs: ``seconds``, or ``filters.done`` for one inside another.
    path: str
    #: How it is entered: ``number``, ``text``, ``textarea``, ``datetime-local``, ``choice`` or ``json``.
    kind: str
    label: str
    hint: str
    #: What it holds at first.
    value: str
    required: bool
    #: Values to choose from and what to call them.
    choices: tuple[tuple[str, str], ...] = ()
    #: Limits, as attributes of the HTML element.
    limits: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Return its part of the element's id."""
        return self.path.replace(".", "-")

    def parse(self, text: str) -> Any:
        """Return what was entered as JSON would have it; what cannot be read stays text, for the model to refuse."""
        try:
            match self.kind:
                case "number":
                    return int(text) if text.strip().lstrip("+-").isdigit() else float(text)
                case "json":
                    return json.loads(text)
                case "choice":
                    return {"true": True, "false": False}.get(text, text)
        except (ValueError, RecursionError):
            return text
        if self.kind == "datetime-local":
            # The element knows no offset: what comes without one is UTC, as its label says.
            return text if text.endswith("Z") else f"{text}Z"
        return text.replace("\r\n", "\n")

    def entered(self, value: Any) -> str:
        """Return a value of JSON as it is entered: the way back from :meth:`parse`."""
        if value is None:
            return ""
        if self.kind == "datetime-local" and isinstance(value, str):
            with suppress(ValueError, OverflowError):
                moment = datetime.fromisoformat(value).astimezone(UTC).replace(tzinfo=None)
                return moment.isoformat(timespec="milliseconds" if moment.second or moment.microsecond else "minutes")
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_RUN_AT = FormField(
    path="run_at",
    kind="datetime-local",
    label="Not before",
    hint="When to start; at once when left empty.",
    value="",
    required=False,
)


_PRIORITY = FormField(
    path="priority",
    kind="choice",
    label="Priority",
    hint="A job of high priority goes before the others of its queue.",
    value="normal",
    required=True,
    choices=(("normal", "normal"), ("high", "high")),
)
_NAME = FormField(
    path="name",
    kind="text",
    label="Name",
    hint="Letters, digits, dots, hyphens and underscores.",
    value="",
    required=True,
)
_CRON = FormField(
    path="cron",
    kind="text",
    label="Cron",
    hint="Minute, hour, day of month, month, day of week: 30 2 * * * is every night at half past two.",
    value="30 2 * * *",
    required=False,
)
_EVERY = FormField(
    path="every",
    kind="number",
    label="Or every so many seconds",
    hint="In place of a cron expression.",
    value="",
    required=False,
    limits={"min": "1", "step": "any"},
)
_ZONE = FormField(
    path="timezone",
    kind="text",
    label="Time zone",
    hint="In which the cron expression is read, such as Europe/Berlin.",
    value="UTC",
    required=True,
)


@dataclass(frozen=True)
class Purpose:
    """What a form is for."""

    #: Where it is sent, with the kind of job after it; and the page that it is on.
    action: str
    page: str
    button: str
    #: Its fields before and after the parameters.
    before: tuple[FormField, ...]
    after: tuple[FormField, ...]
    #: Returns a body as the API takes it. Raises a 422 problem.
    check: Callable[[dict[str, Any]], Any]

    def fields(self, job_type: JobType) -> tuple[FormField, ...]:
        """Return the fields of the form for a kind of job."""
        schema = job_type.params.model_json_schema()
        return (*self.before, *_fields(schema, schema.get("$defs", {})), *self.after)


SUBMIT = Purpose(
    "/flask/ui/submit", "/flask", "Submit", (), (_RUN_AT, _PRIORITY), lambda body: checked(Submission, body).root
)
SCHEDULE = Purpose(
    "/flask/ui/schedules", "/flask/schedules", "Add", (_NAME, _CRON, _EVERY, _ZONE), (), partial(checked, NewSchedule)
)


def _fields(schema: dict[str, Any], definitions: dict[str, Any], prefix: str = "") -> Iterator[FormField]:
    required = schema.get("required", [])
    for name, part in schema["properties"].items():
        part = _resolved(part, definitions)
        if "properties" in part:
            yield from _fields(part, definitions, f"{prefix}{name}.")
        else:
            yield _field(prefix + name, part, name in required)


def _resolved(part: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with what it refers to, and without the choice of ``null``: that is an empty field."""
    choices = [choice for choice in part.get("anyOf", []) if choice != {"type": "null"}]
    if len(choices) == 1:
        part = choices[0] | {key: value for key, value in part.items() if key != "anyOf"}
    if "$ref" in part:
        part = definitions[part["$ref"].rpartition("/")[2]] | part
    return part


def _field(path: str, part: dict[str, Any], required: bool) -> FormField:
    kind, choices = _kind(part)
    if choices and not required:
        choices = (("", "any"), *choices)
    names = {"minimum": "min", "maximum": "max", "minLength": "minlength", "maxLength": "maxlength"}
    limits = {names[name]: str(plain(part[name])) for name in names if name in part}
    if kind == "number":
        limits["step"] = "1" if part["type"] == "integer" else "any"
    hint = part.get("description", "")
    if "minimum" in part and part.get("maximum", SAYS_NOTHING) < SAYS_NOTHING:
        hint = f"{hint} From {limits['min']} to {limits['max']}.".strip()
    made = FormField(
        path=path,
        kind=kind,
        label=path.rpartition(".")[2].replace("_", " ").capitalize(),
        hint=hint,
        value="",
        required=required,
        choices=choices,
        limits=limits,
    )
    start = part["default"] if "default" in part else next(iter(part.get("examples", [])), None)
    return replace(made, value=made.entered(start))


def _kind(part: dict[str, Any]) -> tuple[str, tuple[tuple[str, str], ...]]:
    match part:
        case {"enum": [*names]} if all(isinstance(name, str) for name in names):
            return "choice", tuple((name, name) for name in names)
        case {"type": "boolean"}:
            return "choice", (("true", "yes"), ("false", "no"))
        case {"type": "integer" | "number"}:
            return "number", ()
        case {"type": "string", "format": "date-time"}:
            return "datetime-local", ()
        case {"type": "string"}:
            return ("textarea" if part.get("maxLength", 0) > ONE_LINE else "text"), ()
    return "json", ()


@dataclass(kw_only=True)
class Form:
    """The form for a kind of job: empty, or as it was sent with what is wrong."""

    purpose: Purpose
    job_type: JobType
    #: What was entered, by path.
    values: Mapping[str, str]
    #: What is wrong, by path; the empty path is the form as a whole.
    errors: dict[str, str] = field(default_factory=dict)
    #: What was sent as the API takes it, when nothing is wrong.
    body: Any = None

    @cached_property
    def fields(self) -> tuple[FormField, ...]:
        """Return its fields."""
        return self.purpose.fields(self.job_type)

    def refuse(self, problem: Problem) -> None:
        """Put what a problem says beside the fields that it is about."""
        known = {part.path for part in self.fields}
        for item in problem.more.get("errors", [{"field": "body", "message": problem.detail}]):
            path = item["field"].removeprefix("input_params").removeprefix(".")
            if path in known:
                self.errors[path] = item["message"]
            elif path in ("", "body"):
                self.errors[""] = item["message"]
            else:
                self.errors[""] = f"{path[:50]}: {item['message']}"


def blank(purpose: Purpose, name: str) -> Form:
    """Return a form to fill in, with values that can be sent as they are."""
    form = Form(purpose=purpose, job_type=JOB_TYPES[name], values={})
    form.values = {part.path: part.value for part in form.fields}
    return form


def filled(purpose: Purpose, job: Job) -> Form:
    """Return a form with the parameters of a job, to be changed and sent."""
    form = Form(purpose=purpose, job_type=JOB_TYPES[job.type], values={})
    parameters = {part.path: part.entered(_at(part.path, job.params)) for part in form.fields}
    form.values = parameters | {_PRIORITY.path: Priority(job.priority).word}
    return form


def _at(path: str, params: Any) -> Any:
    for name in path.split("."):
        params = params.get(name) if isinstance(params, dict) else None
    return params


def parse(purpose: Purpose, name: str, sent: Mapping[str, str]) -> Form:
    """Return the form as it was sent, with its body or with the errors."""
    form = Form(purpose=purpose, job_type=JOB_TYPES[name], values=dict(sent))
    body: dict[str, Any] = {"task_type": name, "input_params": {}}
    for part in form.fields:
        text = sent.get(part.path, "")
        if text:  # an empty field is one that was left out
            place = body if part in (*purpose.before, *purpose.after) else body["input_params"]
            *parents, last = part.path.split(".")
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = part.parse(text)
    known = {part.path for part in form.fields}
    # Left to the model to refuse.
    body["input_params"].update((path, text) for path, text in sent.items() if path not in known)
    try:
        form.body = purpose.check(body)
    except Problem as problem:
        form.refuse(problem)
    return form

"""Forms for submitting jobs, made from the catalogue: a field for each parameter, and errors beside their fields.

What a form may send is what the API accepts: fields come from the JSON schema of the parameter model, and a filled-in
form is checked by the same model as ``POST /tasks``.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import ValidationError

from jobs.catalogue import JOB_TYPES, JobType
from jobs.numbers import plain
from webapp.models import Submission

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


_RUN_AT = FormField(
    path="run_at",
    kind="datetime-local",
    label="Not before",
    hint="When to start; at once when left empty.",
    value="",
    required=False,
)


@cache
def fields_of(job_type: JobType) -> tuple[FormField, ...]:
    """Return the fields of the form for a kind of job."""
    schema = job_type.params.model_json_schema()
    return (*_fields(schema, schema.get("$defs", {})), _RUN_AT)


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
    start = part["default"] if "default" in part else next(iter(part.get("examples", [])), None)
    names = {"minimum": "min", "maximum": "max", "minLength": "minlength", "maxLength": "maxlength"}
    limits = {names[name]: str(plain(part[name])) for name in names if name in part}
    if kind == "number":
        limits["step"] = "1" if part["type"] == "integer" else "any"
    hint = part.get("description", "")
    if "minimum" in part and part.get("maximum", SAYS_NOTHING) < SAYS_NOTHING:
        hint = f"{hint} From {limits['min']} to {limits['max']}.".strip()
    return FormField(
        path=path,
        kind=kind,
        label=path.rpartition(".")[2].replace("_", " ").capitalize(),
        hint=hint,
        value="" if start is None else start if isinstance(start, str) else json.dumps(start),
        required=required,
        choices=choices,
        limits=limits,
    )


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

    job_type: JobType
    #: What was entered, by path.
    values: Mapping[str, str]
    #: What is wrong, by path; the empty path is the form as a whole.
    errors: dict[str, str] = field(default_factory=dict)
    #: The job to submit, when nothing is wrong.
    submission: Any = None

    @property
    def fields(self) -> tuple[FormField, ...]:
        """Return its fields."""
        return fields_of(self.job_type)


def blank(name: str) -> Form:
    """Return a form to fill in, with values that can be sent as they are."""
    job_type = JOB_TYPES[name]
    return Form(job_type=job_type, values={part.path: part.value for part in fields_of(job_type)})


def parse(name: str, sent: Mapping[str, str]) -> Form:
    """Return the form as it was sent, with the job or with the errors."""
    form = Form(job_type=JOB_TYPES[name], values=dict(sent))
    body: dict[str, Any] = {"task_type": name, "input_params": {}}
    for part in form.fields:
        text = sent.get(part.path, "")
        if text:  # an empty field is one that was left out
            place = body if part is _RUN_AT else body["input_params"]
            *parents, last = part.path.split(".")
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = part.parse(text)
    known = {part.path for part in form.fields}
    # Left to the model to refuse.
    body["input_params"].update((path, text) for path, text in sent.items() if path not in known)
    try:
        form.submission = Submission.model_validate(body).root
    except ValidationError as error:
        for item in error.errors():
            # The place begins with the kind of job, and for a parameter goes on with `input_params`.
            path = ".".join(str(step) for step in item["loc"][1:] if step != "input_params")
            if path in known:
                form.errors[path] = item["msg"]
            else:
                form.errors[""] = f"{path[:50]}: {item['msg']}"
    return form

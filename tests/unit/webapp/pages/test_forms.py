"""Forms made from parameter models, and what becomes of what people enter."""

from typing import Any, Literal

import pytest
from pydantic import Field
from webapp.pages import forms

from jobs.catalogue import HEAVY, JOB_TYPES, JobType, Params


class Various(Params):
    choice: Literal["red", "green"]
    sure: bool
    many: list[int] = Field(default_factory=list)
    note: str | None = Field(None, max_length=2000)


def fields(name: str) -> dict[str, forms.FormField]:
    return {field.path: field for field in forms.SUBMIT.fields(JOB_TYPES[name])}


@pytest.mark.parametrize("name", [name for name, job_type in JOB_TYPES.items() if not job_type.control])
def test_a_form_can_be_sent_as_it_comes(name: str) -> None:
    blank = forms.blank(forms.SUBMIT, name)
    form = forms.parse(forms.SUBMIT, name, blank.values)
    assert form.errors == {}
    assert form.body.task_type == name
    assert form.body.run_at is None


@pytest.mark.parametrize("name", ["cancel_jobs", "retry_jobs"])
def test_a_form_that_would_act_on_all_jobs_cannot_be_sent_as_it_comes(name: str) -> None:
    form = forms.parse(forms.SUBMIT, name, forms.blank(forms.SUBMIT, name).values)
    assert list(form.errors) == [""]


def test_limits_and_hints_come_from_the_model() -> None:
    rows = fields("csv_processing")["num_rows"]
    assert (rows.kind, rows.value, rows.required) == ("number", "1000", False)
    assert rows.limits == {"min": "100", "max": "10000", "step": "1"}
    assert rows.hint == "Rows to generate. From 100 to 10000."
    assert fields("divide")["a"].required
    assert fields("divide")["a"].limits["step"] == "any"
    assert fields("text")["text"].kind == "textarea"
    assert fields("email_sending")["subject"].limits == {"minlength": "1", "maxlength": "200"}


def test_parameters_inside_others_are_fields_too() -> None:
    export = fields("export")
    parameters = ["filters.done", "filters.text", "filters.created_from", "filters.created_to"]
    assert list(export) == [*parameters, "run_at", "priority"]
    assert export["filters.done"].choices == (("", "any"), ("true", "yes"), ("false", "no"))
    assert export["filters.done"].id == "filters-done"
    assert export["filters.created_from"].kind == "datetime-local"


def test_other_kinds_of_parameters_have_a_field() -> None:
    various = JobType(name="various", queue=HEAVY, params=Various, summary="Try.")
    kinds = {field.path: (field.kind, field.choices) for field in forms.SUBMIT.fields(various)}
    assert kinds == {
        "choice": ("choice", (("red", "red"), ("green", "green"))),
        "sure": ("choice", (("true", "yes"), ("false", "no"))),
        "many": ("json", ()),
        "note": ("textarea", ()),
        "run_at": ("datetime-local", ()),
        "priority": ("choice", (("normal", "normal"), ("high", "high"))),
    }
    many = next(field for field in forms.SUBMIT.fields(various) if field.path == "many")
    assert many.parse("[1, 2]") == [1, 2]
    assert many.parse("[1,") == "[1,"
    assert many.parse("[" * 100_000) == "[" * 100_000


@pytest.mark.parametrize(
    ("name", "sent", "expected"),
    [
        ("divide", {"a": "12", "b": "-0.5"}, {"a": 12, "b": -0.5}),
        ("divide", {"a": "1e3", "b": " 4 "}, {"a": 1000, "b": 4}),
        ("csv_processing", {}, {"num_rows": 1000, "processing_time": 10}),
        ("text", {"text": "one\r\ntwo", "repeat": ""}, {"text": "one\ntwo", "repeat": 1}),
        ("export", {"filters.done": "false", "filters.text": "milk"}, {"filters": {"done": False, "text": "milk"}}),
        ("export", {}, {"filters": {}}),
    ],
)
def test_what_is_entered_becomes_the_job(name: str, sent: dict[str, str], expected: dict[str, Any]) -> None:
    form = forms.parse(forms.SUBMIT, name, sent)
    assert form.errors == {}
    assert form.body.input_params.model_dump(exclude_none=True) == expected


def test_a_time_without_an_offset_is_utc() -> None:
    for text in ("2026-01-02T03:04", "2026-01-02T03:04:00.000Z"):
        form = forms.parse(forms.SUBMIT, "heavy", {"run_at": text})
        assert form.body.run_at.isoformat() == "2026-01-02T03:04:00+00:00"


@pytest.mark.parametrize(
    ("name", "sent", "wrong"),
    [
        ("heavy", {"seconds": "61"}, ["seconds"]),
        ("heavy", {"seconds": "soon"}, ["seconds"]),
        ("heavy", {"seconds": "nan"}, ["seconds"]),
        ("heavy", {"seconds": "9" * 5000}, ["seconds"]),
        ("heavy", {"run_at": "soon"}, ["run_at"]),
        ("heavy", {"run_at": "2999-01-01T00:00"}, ["run_at"]),
        ("heavy", {"secs": "1"}, [""]),
        ("divide", {"a": "", "b": "x"}, ["a", "b"]),
        ("csv_processing", {"num_rows": "100.5"}, ["num_rows"]),
        ("text", {"text": "x" * 10_001}, ["text"]),
        ("export", {"filters.done": "perhaps", "filters.created_to": "x"}, ["filters.done", "filters.created_to"]),
    ],
)
def test_what_is_wrong_is_told_beside_its_field(name: str, sent: dict[str, str], wrong: list[str]) -> None:
    form = forms.parse(forms.SUBMIT, name, sent)
    assert list(form.errors) == wrong
    assert form.body is None
    assert form.values == sent


@pytest.mark.parametrize("name", JOB_TYPES)
def test_the_form_of_a_schedule_needs_a_name_only(name: str) -> None:
    sent = dict(forms.blank(forms.SCHEDULE, name).values)
    assert list(forms.parse(forms.SCHEDULE, name, sent).errors) == ["name"]
    form = forms.parse(forms.SCHEDULE, name, sent | {"name": "mine", "cron": "", "every": "90"})
    assert form.errors == {}
    assert (form.body.name, form.body.cron, form.body.every, form.body.task_type) == ("mine", None, 90, name)


@pytest.mark.parametrize(
    ("sent", "wrong"),
    [
        ({"cron": "30 2 * *"}, "cron"),
        ({"every": "0.5", "cron": ""}, "every"),
        ({"timezone": "Berlin"}, "timezone"),
        ({"every": "60"}, ""),
    ],
)
def test_what_is_wrong_with_a_schedule_is_told_beside_its_field(sent: dict[str, str], wrong: str) -> None:
    values = dict(forms.blank(forms.SCHEDULE, "export").values) | {"name": "mine"} | sent
    assert list(forms.parse(forms.SCHEDULE, "export", values).errors) == [wrong]

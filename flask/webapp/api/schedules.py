"""Recurring jobs."""

from apiflask import APIBlueprint, EmptySchema
from flask import Response, jsonify, url_for

from webapp import operations
from webapp.api.openapi import error_responses
from webapp.models.schedules import NewSchedule, ScheduleChange, ScheduleList, ScheduleView
from webapp.views import schedule_view

blueprint = APIBlueprint("schedules", __name__, tag="Schedules")


@blueprint.get("/schedules")
@blueprint.output(ScheduleList)
@blueprint.doc(summary="List recurring jobs", responses=error_responses(503))
def listing() -> Response:
    """List all recurring jobs, by name."""
    return jsonify(data=[schedule_view(schedule) for schedule in operations.list_schedules()])


@blueprint.post("/schedules")
@blueprint.input(NewSchedule)
@blueprint.output(ScheduleView, status_code=201)
@blueprint.doc(summary="Add a recurring job", responses=error_responses(400, 409, 413, 422, 503))
def add(json_data: NewSchedule) -> Response:
    """Add a recurring job: each slot of it makes exactly one job."""
    schedule = operations.add_schedule(json_data)
    answer = jsonify(schedule_view(schedule))
    answer.status_code = 201
    answer.headers["Location"] = url_for("schedules.show", name=schedule.name)
    return answer


@blueprint.get("/schedules/<name>")
@blueprint.output(ScheduleView)
@blueprint.doc(summary="One recurring job", responses=error_responses(404, 503))
def show(name: str) -> Response:
    """Return one recurring job."""
    return jsonify(schedule_view(operations.find_schedule(name)))


@blueprint.patch("/schedules/<name>")
@blueprint.input(ScheduleChange)
@blueprint.output(ScheduleView)
@blueprint.doc(summary="Change, pause or resume a recurring job", responses=error_responses(400, 404, 413, 422, 503))
def change(name: str, json_data: ScheduleChange) -> Response:
    """Change a recurring job. What is changed counts from its next slot on."""
    return jsonify(schedule_view(operations.change_schedule(name, json_data)))


@blueprint.delete("/schedules/<name>")
@blueprint.output(EmptySchema, status_code=204)
@blueprint.doc(summary="Delete a recurring job", responses=error_responses(404, 503))
def remove(name: str) -> tuple[str, int]:
    """Delete a recurring job. Jobs that it has made stay."""
    operations.remove_schedule(name)
    return "", 204

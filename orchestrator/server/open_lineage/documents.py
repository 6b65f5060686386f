"""What is read of OpenLineage's events; fields and facets that are not known here are let through."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field, StringConstraints, TypeAdapter, ValidationError

from ..schemas.events import Refusal, explain

Text = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
#: A facet that is set to null was deleted by a processor on the way.
Facets = Annotated[dict[str, Any], BeforeValidator(lambda value: {} if value is None else value)]


class Job(BaseModel):
    """A process that reads and writes datasets, by the name that it has in all its runs."""

    namespace: Text
    name: Text
    facets: Facets = Field(default_factory=dict)


class Run(BaseModel):
    """One run of a job."""

    run_id: uuid.UUID = Field(alias="runId")
    facets: Facets = Field(default_factory=dict)


class Dataset(BaseModel):
    """A table, a file, a topic. The second group of facets belongs to the run and not to the dataset."""

    namespace: Text
    name: Text
    facets: Facets = Field(default_factory=dict)
    input_facets: Facets = Field(default_factory=dict, alias="inputFacets")
    output_facets: Facets = Field(default_factory=dict, alias="outputFacets")


Datasets = Annotated[list[Dataset], BeforeValidator(lambda value: [] if value is None else value)]


class _Event(BaseModel):
    time: AwareDatetime = Field(alias="eventTime")
    producer: str = ""


class _JobEvent(_Event):
    job: Job
    inputs: Datasets = Field(default_factory=list)
    outputs: Datasets = Field(default_factory=list)


class RunEvent(_JobEvent):
    """Something that happened to a run."""

    type: Literal["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"] = Field("OTHER", alias="eventType")
    run: Run


class JobEvent(_JobEvent):
    """What a job is, told at design time."""


class DatasetEvent(_Event):
    """What a dataset is, told at design time."""

    dataset: Dataset


_RUN, _JOB, _DATASET = TypeAdapter(RunEvent), TypeAdapter(JobEvent), TypeAdapter(DatasetEvent)


def read(raw: Any) -> RunEvent | JobEvent | DatasetEvent:
    """Read an event by what it is about. Raises Refusal, naming the field."""
    if not isinstance(raw, dict):
        raise Refusal("invalid", "an OpenLineage event is a JSON object")
    adapter: TypeAdapter[Any] = _RUN if "run" in raw else _DATASET if "dataset" in raw else _JOB
    if "eventTime" in raw and not isinstance(raw["eventTime"], str):
        raise Refusal("invalid", "eventTime: must be a text such as 2026-01-31T09:00:00Z")
    try:
        found: RunEvent | JobEvent | DatasetEvent = adapter.validate_python(raw)
    except ValidationError as error:
        raise Refusal("invalid", explain(error)) from None
    return found

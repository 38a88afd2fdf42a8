"""The wire: types of requests to the service and of its answers, shared by the service and by all its clients.

The kinds of predictions have different required fields, so pydantic tells them apart by itself; nobody else does.
"""

from __future__ import annotations

from typing import Any, Generic, TypeAlias, TypeVar

from pydantic import BaseModel, Field

MEASURED = "Share of held-out truths that such intervals held, of the first step or the first number."


class ModelInfo(BaseModel):
    """Identity and lineage of the model that computed an answer."""

    case: str
    version: str = Field(description="Version in the registry.")
    candidate: str = Field(description="Name of the recipe.")
    variant: str = Field(description="Precision of the graph: fp32 or a quantized one.")
    graph_sha256: str
    run_id: str = Field(description="Training run.")
    snapshot_version: int = Field(description="Version of the data that it was trained on.")
    trained_until: str = Field(description="Time of the newest reading that it has seen.")


class IntervalInfo(BaseModel):
    """Bounds, one for each step ahead, that are meant to hold `coverage_share` of the truths."""

    coverage_share: float
    measured_share: float | None = Field(description=MEASURED)
    lower: list[float]
    upper: list[float]


class Prediction(BaseModel):
    """One instance's answer, in the target's unit."""

    as_of: str | None = Field(description="Time of the instance's last record, where records carry one.")
    unit: str
    level: float = Field(description="The target's value in the last record.")
    mean: list[float] = Field(description="One value for each step ahead.")
    interval: IntervalInfo | None
    note: str | None


class Bounds(BaseModel):
    """A range that is meant to hold `coverage_share` of the truths."""

    coverage_share: float
    measured_share: float | None = Field(description=MEASURED)
    lower: float
    upper: float


class Estimate(BaseModel):
    """One record's number, in the target's unit."""

    unit: str
    value: float
    interval: Bounds | None
    note: str | None

    @property
    def intervals(self) -> list[Bounds]:
        """Its interval, if it has one."""
        return [] if self.interval is None else [self.interval]


class Label(BaseModel):
    """One record's most probable label, and how probable each is."""

    label: str
    probabilities: dict[str, float]

    @property
    def intervals(self) -> list[Bounds]:
        """None: a label has probabilities instead."""
        return []


class Outlook(BaseModel):
    """One instance's answer where several things are asked at once, each by its name."""

    as_of: str | None = Field(description="Time of the instance's last record, where records carry one.")
    unit: str = Field(description="Unit of `level`.")
    level: float = Field(description="The value, in the last record, of the column whose growth is asked for.")
    heads: dict[str, Estimate | Label] = Field(description="A number or a label for each target.")

    @property
    def intervals(self) -> list[Bounds]:
        """The intervals of all targets that have one, in their order."""
        return [each for said in self.heads.values() for each in said.intervals]


AnyPrediction: TypeAlias = Prediction | Outlook | Estimate | Label
"""What one instance may be answered with; which of them, is told by the required fields."""
Said = TypeVar("Said", bound=AnyPrediction)


class PredictAnswer(BaseModel, Generic[Said]):
    """Answers in the order of the instances, all by the same model."""

    id: str = Field(description="Name of this answer; send it back with the outcomes.")
    model: ModelInfo
    predictions: list[Said]


class ForecastAnswer(PredictAnswer[Said], Generic[Said]):
    """A `PredictAnswer` with one prediction."""

    source: str = Field(description="Where the readings came from: ingested or packaged.")


Reading: TypeAlias = dict[str, Any]
"""One reading by column names: numbers, words and, in a series, its time (ISO 8601)."""
Instance: TypeAlias = list[Reading] | Reading | list[list[float]]
"""What one prediction is made from: the readings of a series, oldest first; a record; or a picture's rows of pixels."""


class PredictRequest(BaseModel):
    """The body of `POST /{case}/predict`; the service checks instances against the case's columns."""

    instances: list[Instance]
    future: list[list[Reading]] | None = Field(
        default=None, description="For each instance, what is known ahead, by step. No case takes it yet."
    )


class Outcome(BaseModel):
    """What really happened, for one prediction."""

    id: str = Field(description="The answer's id.")
    index: int = Field(default=0, description="Which instance of the answer.")
    step: int | None = Field(default=None, description="Which step ahead, for a forecast.")
    target: str | None = Field(default=None, description="Which target, where there are several.")
    value: float | str = Field(description="The number, or the label.")


class OutcomesRequest(BaseModel):
    """The body of `POST /{case}/outcomes`."""

    outcomes: list[Outcome]


class Accepted(BaseModel):
    """How many outcomes were written down."""

    accepted: int


class Failure(BaseModel):
    """Why a request was refused: what came, what is allowed, what to do."""

    error: str
    detail: list[dict[str, Any]] = []


class ColumnInfo(BaseModel):
    """One number of a reading and the range in which it is data."""

    name: str
    unit: str
    description: str
    above: float | None
    minimum: float | None
    maximum: float | None
    integer: bool
    labels: list[str]


class TargetInfo(BaseModel):
    """One of several things that a case answers at once."""

    name: str
    unit: str
    description: str
    labels: list[str]


class CaseInfo(BaseModel):
    """A case that this service answers for, and what it answers with."""

    name: str
    title: str
    ready: bool
    model: ModelInfo | None
    previous: ModelInfo | None
    refused: str | None = Field(description="Why the newest deployed model does not serve.")
    columns: list[ColumnInfo]
    history: int = Field(description="Records of an instance that count: the newest ones.")
    horizon: int | None = Field(description="Steps ahead of a forecast.")
    unit: str
    labels: list[str] = Field(description="What an answer may be, where it is a label.")
    targets: list[TargetInfo] = Field(description="What is asked for, where it is several things at once.")


class CaseList(BaseModel):
    """All cases of this service."""

    cases: list[CaseInfo]

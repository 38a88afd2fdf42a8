"""Types of requests to the service and of its answers, shared by the service and all its clients.

The kinds of predictions have different required fields, by which pydantic selects the type.
"""

from __future__ import annotations

from typing import Any, Generic, TypeAlias, TypeVar

from pydantic import BaseModel, Field, StrictBool

TIMES = "Time of each step ahead, in the zone of the data: ISO 8601, a date where steps are days or longer."
MEASURED = "Share of held-out true values that such intervals contained, for the first step or number."


class ModelInfo(BaseModel):
    """Identity and lineage of the model that computed an answer."""

    case: str
    version: str = Field(description="Version in the registry.")
    candidate: str = Field(description="Name of the recipe.")
    variant: str = Field(description="Precision of the graph: fp32 or a quantized one.")
    graph_sha256: str
    run_id: str = Field(description="Training run.")
    snapshot_version: int = Field(description="Version of the data that it was trained on.")
    trained_until: str = Field(description="Time of the newest reading that it was trained on.")
    interval_version: str | None = Field(
        default=None, description="Width factor of the intervals, from outcomes; null for calibrated widths."
    )


class IntervalInfo(BaseModel):
    """Bounds, one for each step ahead, that are meant to contain `coverage_share` of the true values."""

    coverage_share: float
    measured_share: float | None = Field(description=MEASURED)
    lower: list[float]
    upper: list[float]


class Prediction(BaseModel):
    """The forecast for one instance, in the target's unit."""

    as_of: str | None = Field(description="Time of the instance's last reading, if readings have a time.")
    unit: str
    level: float = Field(description="The target's value in the last reading.")
    times: list[str] | None = Field(default=None, description=TIMES)
    times_note: str | None = Field(default=None, description="Why the times are not known.")
    mean: list[float] = Field(description="One value for each step ahead.")
    interval: IntervalInfo | None
    note: str | None


class Bounds(BaseModel):
    """A range that is meant to contain `coverage_share` of the true values."""

    coverage_share: float
    measured_share: float | None = Field(description=MEASURED)
    lower: float
    upper: float


class Estimate(BaseModel):
    """A predicted number, in the target's unit."""

    unit: str
    value: float
    interval: Bounds | None
    note: str | None

    @property
    def intervals(self) -> list[Bounds]:
        """Its interval, if it has one."""
        return [] if self.interval is None else [self.interval]


class Label(BaseModel):
    """A predicted label, the most probable one, with the probabilities of all labels."""

    label: str | bool = Field(description="A text; true or false where the case declares truth values.")
    probabilities: dict[str, float] = Field(description="By label; those of truth values are false and true.")
    note: str | None = Field(default=None, description="Words of the instance that the model does not know.")

    @property
    def intervals(self) -> list[Bounds]:
        """Empty: a label has probabilities instead."""
        return []

    @property
    def word(self) -> str:
        """The label as a text, which is its name among the probabilities.

        >>> Label(label=True, probabilities={"false": 0.2, "true": 0.8}).word
        'true'
        """
        return str(self.label).lower() if isinstance(self.label, bool) else self.label


class Word(Label):
    """A predicted label, the most probable one, with the probabilities of all labels."""

    label: str


class Truth(Label):
    """A predicted truth value, the more probable one, with the probabilities of both."""

    label: bool


class Outlook(BaseModel):
    """The prediction of several targets for one instance, each under its name."""

    as_of: str | None = Field(description="Time of the instance's last reading, if readings have a time.")
    unit: str = Field(description="Unit of `level`.")
    level: float = Field(description="The last value of the column whose growth is predicted.")
    times: list[str] | None = Field(default=None, description=TIMES)
    times_note: str | None = Field(default=None, description="Why the times are not known.")
    heads: dict[str, Estimate | Label] = Field(description="A number or a label for each target.")

    @property
    def intervals(self) -> list[Bounds]:
        """The intervals of all targets that have one, in order of the targets."""
        return [interval for head in self.heads.values() for interval in head.intervals]


AnyPrediction: TypeAlias = Prediction | Outlook | Estimate | Label
"""The prediction for one instance; its required fields determine which of the types it is."""
PredictionT = TypeVar("PredictionT", bound=AnyPrediction)


class PredictAnswer(BaseModel, Generic[PredictionT]):
    """Predictions in the order of the instances, all by the same model."""

    id: str = Field(description="Id of this answer; send it back with the outcomes.")
    model: ModelInfo
    predictions: list[PredictionT]


class ForecastAnswer(PredictAnswer[PredictionT], Generic[PredictionT]):
    """A `PredictAnswer` with one prediction."""

    source: str = Field(description="Source of the readings: ingested or packaged.")
    stale: str | None = Field(default=None, description="Why newer readings are not used: a delivery of them is held.")


Reading: TypeAlias = dict[str, Any]
"""One reading by column name: numbers, labels and, for series, the time (ISO 8601)."""
Instance: TypeAlias = list[Reading] | Reading | list[list[float]]
"""The input of one prediction: the readings of a series, oldest first; a record; or a picture's rows of pixels."""


class PredictRequest(BaseModel):
    """The body of `POST /{case}/predict`; the service checks instances against the case's columns."""

    instances: list[Instance]
    future: list[list[Reading]] | None = Field(
        default=None, description="For each instance, values that are known ahead, by step. No case uses it yet."
    )
    keys: list[str | int | None] | None = Field(default=None, description="Your own key of each instance.")


class Outcome(BaseModel):
    """The true value for one prediction."""

    id: str | None = Field(default=None, description="The answer's id.")
    index: int = Field(default=0, description="Which instance of the answer; only with an id.")
    key: str | int | None = Field(default=None, description="Your own key of the instance, instead of id and index.")
    step: int | None = Field(default=None, description="Which step ahead, for a forecast.")
    target: str | None = Field(default=None, description="Which target, for a case with several.")
    value: float | str | StrictBool = Field(description="The number, the label, or the truth value.")


class OutcomesRequest(BaseModel):
    """The body of `POST /{case}/outcomes`."""

    outcomes: list[Outcome]


class Accepted(BaseModel):
    """The number of recorded outcomes."""

    accepted: int


class Failure(BaseModel):
    """An error: what came, what is allowed, what to do."""

    error: str
    detail: list[dict[str, Any]] = []


class ColumnInfo(BaseModel):
    """One column of a reading and its valid range or labels."""

    name: str
    unit: str
    description: str
    above: float | None
    minimum: float | None
    maximum: float | None
    integer: bool
    date: bool = Field(default=False, description="Whether it holds dates, ISO 8601.")
    labels: list[str] | list[bool] = Field(description="The values that it may have; empty for numbers and dates.")


class TargetInfo(BaseModel):
    """One of several targets that a case predicts at once."""

    name: str
    unit: str
    description: str
    labels: list[str]


class CaseInfo(BaseModel):
    """A case of this service, with its models, inputs and targets."""

    name: str
    title: str
    ready: bool
    model: ModelInfo | None
    previous: ModelInfo | None
    refused: str | None = Field(description="Reason why the newest deployed model does not serve.")
    interval_refused: str | None = Field(default=None, description="Reason why the newest width factor is not used.")
    columns: list[ColumnInfo]
    key: str = Field(default="", description="Field of your own key; empty for a case without.")
    history: int = Field(description="Number of newest readings of an instance that are used.")
    horizon: int | None = Field(description="Steps ahead of a forecast.")
    unit: str
    labels: list[str] | list[bool] = Field(description="Labels that can be predicted; empty for numbers.")
    targets: list[TargetInfo] = Field(description="Targets of a case that predicts several at once; else empty.")


class CaseList(BaseModel):
    """All cases of the service."""

    cases: list[CaseInfo]

"""Which of four blobs a point belongs to; the best possible answer is known (`Blobs.bayes_accuracy`)."""

from okawari.case import ARRIVED, Case, Classify, Column, Gate
from okawari.data.datasets import Blobs
from okawari.models.constant import Constant
from okawari.models.dense import Mlp
from okawari.models.linear import Linear

CASE = Case(
    name="blobs",
    title="Four blobs",
    source=Blobs(),
    time=ARRIVED,
    columns=(Column(name="x", description="first coordinate"), Column(name="y", description="second coordinate")),
    task=Classify(
        target=Column(
            name="blob",
            labels=("north_east", "north_west", "south_west", "south_east"),
            new_share=0,
            description="blob that the point was drawn from",
        )
    ),
    candidates=(Constant(), Linear(penalty=1.0), Mlp(hidden=(32, 32), dropout=0.0)),
    gate=Gate(holdout=1000, origins=1),
)

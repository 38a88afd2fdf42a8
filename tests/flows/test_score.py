from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from flows.score import score
from okawari.case import Case
from okawari.errors import InvalidInput
from okawari.registry import versions


def test_a_file_is_answered_by_the_champion_and_the_run_returns_what_became_of_its_rows(
    trained: Case, tmp_path: Path
) -> None:
    readings = trained.source.read(until=date(2000, 12, 31))
    readings.to_csv(tmp_path / "in.csv", index=False)
    champion = versions.load_champion("small")
    assert champion is not None
    done = score("small", tmp_path / "in.csv", tmp_path / "out.parquet")
    n_early = trained.task.history - 1
    assert done == {
        "version": champion.version,
        "rows": len(readings),
        "answered": len(readings) - n_early,
        "refused": 0,
        "early": n_early,
        "new_words": {},
        "target": str(tmp_path / "out.parquet"),
    }
    answers = pd.read_parquet(tmp_path / "out.parquet")
    assert answers["as_of"].tolist() == readings["date"][n_early:].tolist()
    assert set(answers["graph_sha256"]) == {champion.graph_sha256}
    with pytest.raises(InvalidInput, match="exists already; nothing was written"):
        score("small", tmp_path / "in.csv", tmp_path / "out.parquet")

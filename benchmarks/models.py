"""What serves on public tables against the models that a user might pick instead.

    python -m benchmarks.models --folder build/bench-models

Every table has a later part that no fit and no choice sees. Okawari: the case that `okawari new` guesses, its
contest, and the winner fitted again on all known rows. Peers: methods of statsforecast, LightGBM and scikit-learn
with their defaults, fitted on all known rows. Both answer the same later rows; a forecast's state moves on with them,
its parameters stay. The results of each table and method are kept in the folder, so that a stopped run resumes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.model_tables import OWN, measure_table, write_board, write_tables
from benchmarks.public_tables import PublicTable, list_tables, load_table
from benchmarks.record_peers import RECORD_PEERS, prepare_records
from benchmarks.series_peers import SERIES_PEERS, prepare_series
from benchmarks.served import serve_table


def keep_result(
    folder: Path, table: str, method: str, compute: Callable[[], dict[str, Any]], *, anew: bool = False
) -> dict[str, Any]:
    """The kept result of a method on a table; computed and kept if there is none, or `anew`."""
    path = folder / f"{table}.{method.replace(' ', '_')}.json"
    if anew or not path.exists():
        started = time.perf_counter()
        result = {"table": table, "method": method, **compute(), "wall_s": round(time.perf_counter() - started, 2)}
        unfinished = path.with_suffix(".tmp")
        unfinished.write_text(json.dumps(result))
        os.replace(unfinished, path)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def run_peer(table: PublicTable, method: str) -> dict[str, Any]:
    """The answers of a peer to the later part, and the seconds of its fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if table.group == "series":
            peer = SERIES_PEERS[method](prepare_series(table))
        else:
            peer = RECORD_PEERS[method](prepare_records(table))
    return {"fit_s": round(peer.fit_s, 3), "mean": peer.mean_BH.tolist()}


def list_peers(table: PublicTable, chosen: Sequence[str]) -> list[str]:
    """The peers of a table's group; only the chosen ones if any are."""
    names = SERIES_PEERS if table.group == "series" else RECORD_PEERS
    return [name for name in names if not chosen or name in chosen]


def run_table(table: PublicTable, given: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The results of all methods on a table, kept ones and new ones."""
    run: dict[str, Callable[[], dict[str, Any]]] = {}
    if not given.peers_alone:
        run[OWN] = partial(serve_table, table, given.candidates)
    run |= {peer: partial(run_peer, table, peer) for peer in list_peers(table, given.peers)}
    results = {}
    for method, compute in run.items():
        anew = given.anew and method == OWN
        results[method] = keep_result(given.folder, table.name, method, compute, anew=anew)
        print(f"{table.name}: {method} fitted in {results[method]['fit_s']} s", file=sys.stderr, flush=True)
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What serves on public tables against its peers.")
    parser.add_argument("--folder", type=Path, default=Path("build/bench-models"), help="of results (%(default)s)")
    parser.add_argument("--only", nargs="+", choices=list(list_tables()), default=list(list_tables()), help="tables")
    parser.add_argument("--peers", nargs="+", default=[], help="methods to compare with; all by default")
    parser.add_argument(
        "--candidates", nargs="+", default=[], help="of the contests beside the baseline; all by default"
    )
    parser.add_argument("--anew", action="store_true", help="compute kept results of Okawari again")
    parser.add_argument("--peers-alone", action="store_true", help="run the peers, and print no table")
    parser.add_argument("--boards", action="store_true", help="print the candidates of each contest as well")
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    measured = []
    for name in given.only:
        table = load_table(name)
        results = run_table(table, given)
        if not given.peers_alone:
            measured.append(measure_table(table, results))
    if measured:
        print(write_tables(measured))
    if given.boards:
        print("", *map(write_board, measured), sep="\n\n")


if __name__ == "__main__":
    main()

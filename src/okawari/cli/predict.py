"""The commands about predictions: `okawari predict`, `score` and `explain`. Heavy imports are inside the functions."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from okawari.cli.document import AsJson, divert_text, print_document
from okawari.cli.options import Decimal, TimeFormat
from okawari.errors import InvalidInput, require

if TYPE_CHECKING:
    from okawari.clients.wire import Instance

CaseName = Annotated[str, typer.Argument(metavar="CASE", help="Name of a case, such as aapl.")]


def predict(
    case: CaseName,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Rows to predict from; the newest ingested, if left out.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each answer of the service as one line of JSON.")
    ] = False,
) -> None:
    """Request a prediction from the prediction service.

    Example: okawari predict aapl
    """
    import json

    from okawari.cli.answers import show_answer
    from okawari.clients.prediction_service import Client

    with Client() as client:
        answers = (
            [client.forecast(case)]
            if file is None
            else [client.predict(case, part) for part in _read_instances(case, file)]
        )
    for answer in answers:
        if as_json:
            print(json.dumps(answer.model_dump(mode="json")))
        else:
            show_answer(answer)


def score(
    case: CaseName,
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A table of rows, ordered by time.")],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="The .csv or .parquet file to write.")],
    version: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Registered version to use instead of the champion.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the output file, or the parts of another job.")
    ] = False,
    journal: Annotated[
        bool, typer.Option("--journal", help="Record the answers, so that outcomes can be sent for them.")
    ] = False,
    time_format: TimeFormat = "",
    decimal: Decimal = "",
    as_json: AsJson = False,
) -> None:
    """Predict for every row of a file with the champion's graph. Run it again to resume an interrupted job.

    Files of any length are read in chunks. The command runs in this process and needs the registry only;
    `flows/score.py` does the same as a Prefect run.

    Example: okawari score aapl readings.parquet answers.parquet
    """
    from okawari.cases.loader import load_case
    from okawari.cli.output import report_progress, show_scored
    from okawari.data.file_format import Stated
    from okawari.scoring.checkpoint import Place
    from okawari.scoring.job import check_job, score_file
    from okawari.scoring.model import load_model

    stated = Stated(time_format=time_format, decimal=decimal)
    with divert_text(as_json):
        problem = load_case(case)
        for sentence in check_job(problem, source, target, overwrite=overwrite, stated=stated).said:
            print(f"{source}: {sentence}", file=sys.stderr)
        with report_progress() as report:
            model = load_model(problem, version)
            scored = score_file(
                problem,
                model,
                source,
                target,
                overwrite=overwrite,
                journal=journal,
                stated=stated,
                watch=report.show_step,
            )
    if as_json:
        refused = Place(target).refused if scored.refused else None
        where = {"case": case, "version": model.version, "target": target, "refused_file": refused}
        print_document({**where, **vars(scored), "journal": journal})
    else:
        show_scored(scored, model.version, target)


def explain(
    prediction: Annotated[
        str, typer.Argument(metavar="ID", help="The id of an answer; id:3 for its fourth prediction.")
    ],
    as_json: AsJson = False,
) -> None:
    """Show the model version, training, snapshot and decisions behind a prediction, and check every digest.

    Example: okawari explain 0123456789abcdef0123456789abcdef:3
    """
    from okawari.cli.output import show_lineage
    from okawari.loop.lineage import trace_prediction

    prediction_id, _, index = prediction.partition(":")
    if index and not index.isdecimal():
        raise InvalidInput(f"{prediction!r} is not a prediction; use an id, or id:3 for its fourth prediction.")
    with divert_text(as_json):
        lineage = trace_prediction(prediction_id, int(index or 0))
    if as_json:
        print_document(lineage)
    else:
        show_lineage(lineage)


_MOST_REQUESTS = 20


def _read_instances(name: str, file: Path) -> list[list[Instance]]:
    """The newest window of the file or, for records, all rows, split into requests that the service accepts.

    Refused rows are reported on stderr.

    Raises:
        InvalidInput: the file has no valid row, or more rows than `_MOST_REQUESTS` requests take.
    """
    from datetime import UTC

    from okawari.cases.loader import load_case
    from okawari.clients.prediction_service import to_instances
    from okawari.data.files import read_instead
    from okawari.data.tabular import read_table
    from okawari.data.validation import check_readings
    from okawari.data.writing import read_writing
    from okawari.schema.columns import find_numbers

    case = load_case(name)
    raw = read_table(read_instead(file, case), numbers=[each.name for each in find_numbers(case.columns)])
    for sentence in (*raw.assumed, *raw.notes):
        print(f"{file}: {sentence}", file=sys.stderr)
    checked = check_readings(
        raw.frame,
        case,
        datetime.now(UTC),
        with_target=False,
        broken=raw.broken,
        writing=read_writing(raw, case),
    )
    if not checked.refused.empty:
        print(f"{file}: {checked.reason}", file=sys.stderr)
    instances, size = to_instances(case, [checked.good]), case.serving.max_instances
    require(bool(instances), f"{file} has no valid row, and a prediction needs one; correct its rows.")
    require(
        len(instances) <= _MOST_REQUESTS * size,
        f"{file} has {len(instances)} rows, and a request takes {size}; predict sends {_MOST_REQUESTS} at most. "
        f"Score the file instead: okawari score {name} {file} answers.parquet",
    )
    return [instances[start : start + size] for start in range(0, len(instances), size)]

"""FRED: real requests to a small server that answers in FRED's format, with the figures of 2023 as first published."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest

from okawari.case import Case, Column, Forecast, LogRatio
from okawari.data import fred as fred_source
from okawari.data.fred import Fred, FredSeries
from okawari.data.validation import check_readings
from okawari.errors import InvalidInput, SourceUnavailable
from okawari.models.random_walk import RandomWalk

ANSWER = Path(__file__).with_name("fred_2023.csv").read_text()
MACRO = Fred(
    series=(
        FredSeries("CPIAUCSL", "cpi", "last"),
        FredSeries("UNRATE", "unemployment", "mean"),
        FredSeries("TB3MS", "bill_rate", "mean"),
    ),
    period="quarter",
)
PRICES = Fred(series=(FredSeries("CPIAUCSL", "cpi"),))


class FarEnd:
    """A real HTTP server that answers whatever it is asked as it was told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status, self.text = 200, ANSWER
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                content = outer.text.encode()
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Keep the tests' output to themselves."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/graph/fredgraph.csv"


@pytest.fixture
def fred(monkeypatch: pytest.MonkeyPatch) -> Iterator[FarEnd]:
    """Where FRED is asked instead of over the internet."""
    far_end = FarEnd()
    thread = threading.Thread(target=far_end.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr(fred_source, "FRED_URL", far_end.url)
    yield far_end
    far_end.http.shutdown()
    thread.join()
    far_end.http.server_close()


def _drop(text: str, *months: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(months))


# --- periods ------------------------------------------------------------------------------------------------------


def test_months_become_quarters_that_end_on_their_last_day(fred: FarEnd) -> None:
    expected = pd.DataFrame(
        {
            "date": pd.to_datetime(["2023-03-31", "2023-06-30", "2023-09-30", "2023-12-31"]).astype("datetime64[ns]"),
            "cpi": [301.808, 305.109, 307.789, 308.850],
            "unemployment": [
                (3.4 + 3.6 + 3.5) / 3,
                (3.4 + 3.7 + 3.6) / 3,
                (3.5 + 3.8 + 3.8) / 3,
                (3.9 + 3.7 + 3.7) / 3,
            ],
            "bill_rate": [(4.54 + 4.65 + 4.69) / 3, (4.92 + 5.14 + 5.16) / 3, 15.87 / 3, (5.34 + 5.27 + 5.24) / 3],
        }
    )
    pd.testing.assert_frame_equal(MACRO.read(), expected, rtol=1e-15)
    assert fred.asked == ["/graph/fredgraph.csv?id=CPIAUCSL,UNRATE,TB3MS"]


def test_months_stay_months_where_the_case_is_monthly(fred: FarEnd) -> None:
    frame = replace(MACRO, period="month").read()
    assert frame["date"].tolist() == list(pd.date_range("2023-01-31", periods=12, freq="ME"))
    assert frame["cpi"].iloc[[0, -1]].tolist() == [300.536, 308.850]
    assert frame["unemployment"].iloc[[0, -1]].tolist() == [3.4, 3.7]


@pytest.mark.parametrize("missing", ["", "."])
def test_a_quarter_appears_once_all_its_months_are_there_for_all_series(missing: str, fred: FarEnd) -> None:
    fred.text = ANSWER.replace("2023-12-01,308.850,3.7,5.24", f"2023-12-01,308.850,{missing},5.24")
    assert MACRO.read()["date"].iloc[-1] == pd.Timestamp("2023-09-30")
    fred.text = _drop(ANSWER, "2023-11", "2023-12")
    assert MACRO.read()["date"].iloc[-1] == pd.Timestamp("2023-09-30")
    fred.text = ANSWER
    assert MACRO.read()["date"].iloc[-1] == pd.Timestamp("2023-12-31")


def test_a_month_that_was_never_published_leaves_a_row_that_the_checks_refuse_by_name(fred: FarEnd) -> None:
    fred.text = ANSWER.replace("2023-05-01,304.127,3.7,5.14", "2023-05-01,,,5.14")
    case = Case(
        name="jobs",
        title="Unemployment",
        source=MACRO,
        columns=(Column(name="cpi", above=0), Column(name="unemployment", above=0)),
        features=(LogRatio(name="growth", numerator="unemployment", denominator="unemployment", lag=1),),
        task=Forecast(target="unemployment", history=2, horizon=1),
        candidates=(RandomWalk(),),
    )
    checked = check_readings(MACRO.read(), case, datetime(2024, 2, 1, tzinfo=UTC))
    assert checked.good["date"].dt.month.tolist() == [3, 9, 12]
    assert checked.refused["cpi"].tolist() == [305.109]
    assert checked.refused["reason"].tolist() == ["unemployment is missing"]


def test_a_mean_does_without_as_many_months_as_the_settings_say(fred: FarEnd) -> None:
    fred.text = ANSWER.replace("2023-05-01,304.127,3.7,5.14", "2023-05-01,,,5.14")
    frame = replace(MACRO, max_missing_months=1).read()
    assert frame["cpi"].tolist()[1] == 305.109
    assert frame["unemployment"].tolist()[1] == pytest.approx((3.4 + 3.6) / 2, rel=1e-15)
    fred.text = _drop(ANSWER, "2023-12")  # the last month is never done without: it is still to come
    assert replace(MACRO, max_missing_months=1).read()["date"].iloc[-1] == pd.Timestamp("2023-09-30")


def test_reading_begins_with_the_first_whole_quarter_and_ends_with_the_day_asked_for(fred: FarEnd) -> None:
    assert replace(MACRO, since="2023-02-01").read()["date"].iloc[0] == pd.Timestamp("2023-06-30")
    assert MACRO.read(until=date(2023, 9, 30))["date"].iloc[-1] == pd.Timestamp("2023-09-30")
    assert MACRO.read(until=date(2023, 9, 29))["date"].iloc[-1] == pd.Timestamp("2023-06-30")


# --- what FRED may answer -----------------------------------------------------------------------------------------


def test_the_older_header_another_order_of_columns_and_windows_line_ends_are_read_alike(fred: FarEnd) -> None:
    expected = MACRO.read()
    fred.text = ANSWER.replace("observation_date", "DATE").replace("\n", "\r\n")
    pd.testing.assert_frame_equal(MACRO.read(), expected)
    rows = [line.split(",") for line in ANSWER.splitlines()]
    fred.text = "\n".join(",".join([day, bills, prices, jobless]) for day, prices, jobless, bills in rows)
    pd.testing.assert_frame_equal(MACRO.read(), expected)


HTML = "<!DOCTYPE html>\n<html><body>Error - St. Louis Fed</body></html>"


@pytest.mark.parametrize(
    ("status", "text", "message"),
    [
        (404, HTML, r"FRED has no series for one of the ids CPIAUCSL \(HTTP 404\).*Correct the id"),
        (503, HTML, "FRED answered for CPIAUCSL with HTTP 503, not with figures; try again later"),
        (200, HTML, "begins with '<!DOCTYPE html>.*begins with observation_date,CPIAUCSL"),
        (200, "", "begins with ''; a CSV of these series begins with observation_date,CPIAUCSL"),
        (200, "observation_date,UNRATE\n2023-01-01,3.4\n", "a CSV of these series begins with"),
        (200, "observation_date,CPIAUCSL\n2023-01-01,three\n", "is not a CSV of monthly figures: .*three"),
        (200, "observation_date,CPIAUCSL\nJanuary,300.5\n", "is not a CSV of monthly figures"),
        (
            200,
            "observation_date,CPIAUCSL\n2023-01-01,300,5,1\n",
            "not a CSV of monthly figures: each of its 1 lines has",
        ),
        (
            200,
            "observation_date,CPIAUCSL\n2023-01-01,300\n2023-02-01,301,5\n2023-03-01,302\n",
            "is not a CSV of monthly figures: in row 2 the line has 3 fields, the header 2: '2023-02-01,301,5'",
        ),
        (200, "observation_date,CPIAUCSL\n2023-01-01,1\n2023-01-02,1\n", "not all monthly; .*Choose monthly series"),
        (200, "observation_date,CPIAUCSL\n2023-01-01,1\n2023-01-01,1\n", "not all monthly; .*Choose monthly series"),
        (
            200,
            "observation_date,CPIAUCSL\n",
            "FRED has no month since 1959-01-01 in which all of CPIAUCSL have a figure",
        ),
        (200, "observation_date,CPIAUCSL\n2023-01-01,.\n", "FRED has no month since 1959-01-01"),
    ],
)
def test_whatever_is_no_answer_is_one_clear_sentence(status: int, text: str, message: str, fred: FarEnd) -> None:
    fred.status, fred.text = status, text
    with pytest.raises(InvalidInput, match=f"(?s){message}"):
        PRICES.read()


def test_a_figure_that_cannot_be_read_is_the_data_and_an_answer_without_figures_is_not(fred: FarEnd) -> None:
    fred.text = "observation_date,CPIAUCSL\n2023-01-01,three\n"
    with pytest.raises(InvalidInput) as refused:
        PRICES.read()
    assert not isinstance(refused.value, SourceUnavailable)
    fred.text = HTML
    with pytest.raises(SourceUnavailable):
        PRICES.read()


def test_no_network_is_one_clear_sentence(fred: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fred_source, "FRED_URL", "http://127.0.0.1:9/fredgraph.csv")  # the discard port; nobody listens
    with pytest.raises(
        SourceUnavailable, match=r"FRED did not answer for CPIAUCSL: .*Check the network or try again later"
    ):
        PRICES.read()


# --- settings -----------------------------------------------------------------------------------------------------


def test_settings_that_mean_nothing_are_refused() -> None:
    for wrong, message in (
        ({"series": ()}, "Fred.series is empty"),
        ({"series": (FredSeries("UNRATE", "a"), FredSeries("UNRATE", "b"))}, "Fred.series has the ids"),
        ({"series": (FredSeries("UNRATE", "a"), FredSeries("TB3MS", "a"))}, "Fred.series has the names"),
        ({"period": "year"}, "Fred.period is 'year'; use one of"),
        ({"since": "1959"}, "Fred.since is '1959'; write a day such as 1959-01-01"),
        ({"max_missing_months": 3}, "a quarter may lack 0 to 2 of its months"),
    ):
        with pytest.raises(InvalidInput, match=message):
            replace(MACRO, **wrong)
    with pytest.raises(InvalidInput, match=r"FredSeries.id is 'a&b'"):
        FredSeries("a&b", "a")
    with pytest.raises(InvalidInput, match=r"FredSeries.name is 'A b'"):
        FredSeries("UNRATE", "A b")
    with pytest.raises(InvalidInput, match=r"FredSeries.figure is 'first'"):
        FredSeries("UNRATE", "a", "first")  # type: ignore[arg-type]

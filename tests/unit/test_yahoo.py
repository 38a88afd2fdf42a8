"""Yahoo: all of yfinance runs, from its questions to its parsing; only the network is answered from here."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from okawari.case import Case
from okawari.data.validation import check_readings
from okawari.data.yahoo import YahooStock
from okawari.errors import SourceUnavailable

CHART = Path(__file__).with_name("yahoo_chart.json")
"""An answer in Yahoo's format, put together by hand: five days of June 2014, about as they were, with a split."""


class Yahoo:
    """The far end of the network: answers questions for a chart as told, and all others with a word."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status, self.content = 200, CHART.read_bytes()
        self.failure: Exception | None = None

    def answer(self, url: str) -> Any:
        from curl_cffi.requests import Response

        self.asked.append(url)
        if self.failure is not None:
            raise self.failure
        is_chart = "/v8/finance/chart/" in url
        answer = Response()
        answer.url = url
        answer.status_code = self.status if is_chart else 200
        answer.content = self.content if is_chart else b"crumb"
        return answer


@pytest.fixture
def yahoo(monkeypatch: pytest.MonkeyPatch) -> Yahoo:
    """Yahoo Finance without the network: all of yfinance runs, only its session is answered from here."""
    from curl_cffi.requests import Session
    from yfinance import cache
    from yfinance.data import SingletonMeta, YfData

    far_end = Yahoo()

    def ask(session: Any, method: str, url: str, **options: Any) -> Any:
        return far_end.answer(url)

    monkeypatch.setattr(Session, "request", ask)
    # No cookie, time zone or answer of another test, or of the person who runs them.
    monkeypatch.setattr(SingletonMeta, "_instances", {})
    monkeypatch.setattr(cache._TzCacheManager, "_tz_cache", cache._TzCacheDummy())
    monkeypatch.setattr(cache._CookieCacheManager, "_Cookie_cache", cache._CookieCacheDummy())
    YfData.cache_get.cache_clear()
    return far_end


def test_yahoos_answer_becomes_adjusted_readings(yahoo: Yahoo) -> None:
    frame = YahooStock("AAPL", since="2014-06-04").read()
    recorded = json.loads(yahoo.content)["chart"]["result"][0]["indicators"]
    quote, adjusted = recorded["quote"][0], recorded["adjclose"][0]["adjclose"]
    assert list(frame.columns) == ["date", "open", "high", "low", "close", "volume"]
    assert frame["date"].tolist() == list(
        pd.to_datetime(["2014-06-04", "2014-06-05", "2014-06-06", "2014-06-09", "2014-06-10"])
    )
    assert frame["close"].tolist() == pytest.approx(adjusted)
    share = [adjusted[day] / quote["close"][day] for day in range(5)]
    assert frame["high"].tolist() == pytest.approx([quote["high"][day] * share[day] for day in range(5)])
    assert frame["volume"].tolist() == quote["volume"]


def test_yahoos_answer_is_data_to_the_checks(yahoo: Yahoo, small_case: Case) -> None:
    checked = check_readings(YahooStock("AAPL").read(), small_case, datetime(2026, 1, 1, tzinfo=UTC))
    assert (len(checked.good), len(checked.refused)) == (5, 0)


def test_yahoo_is_asked_for_the_symbol_and_read_until_a_day(yahoo: Yahoo) -> None:
    assert len(YahooStock("AAPL").read(until=date(2014, 6, 6))) == 3
    assert any(url.endswith("/v8/finance/chart/AAPL") for url in yahoo.asked)


def test_an_answer_without_days_is_refused(yahoo: Yahoo) -> None:
    chart = json.loads(yahoo.content)
    chart["chart"]["result"][0].update(timestamp=[], indicators={"quote": [{}], "adjclose": [{}]})
    yahoo.content = json.dumps(chart).encode()
    with pytest.raises(SourceUnavailable, match="Yahoo returned no prices for 'AAPL' since 2000-01-01"):
        YahooStock("AAPL").read()


NOT_FOUND = {"code": "Not Found", "description": "No data found, symbol may be delisted"}


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (404, json.dumps({"chart": {"result": None, "error": NOT_FOUND}}).encode()),
        (429, b"Too Many Requests"),
        (200, b"<html>Will be right back</html>"),
        (200, b""),
    ],
)
def test_whatever_else_yahoo_answers_is_one_clear_sentence(status: int, content: bytes, yahoo: Yahoo) -> None:
    yahoo.status, yahoo.content = status, content
    with pytest.raises(SourceUnavailable, match="Yahoo returned no prices for 'AAPL'"):
        YahooStock("AAPL").read()


def test_no_network_is_one_clear_sentence(yahoo: Yahoo) -> None:
    from curl_cffi.requests.exceptions import DNSError

    yahoo.failure = DNSError("Could not resolve host")
    with pytest.raises(SourceUnavailable, match="Yahoo returned no prices for 'AAPL'"):
        YahooStock("AAPL").read()


def test_without_the_extra_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yfinance", None)
    with pytest.raises(
        SourceUnavailable, match=r"yfinance, which is not installed; run: pip install 'okawari\[live\]'"
    ):
        YahooStock("AAPL").read()

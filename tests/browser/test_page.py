"""What a person sees and does on the page, in real Chromium."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.edges import World, serve_model, stand_run

WAIT_MS = 40_000  # two refreshes of the page on a very busy machine


@pytest.fixture(autouse=True)
def _patience() -> None:
    expect.set_options(timeout=WAIT_MS)


def open_page(page: Page, url: str) -> None:
    """Open the page and wait until the first facts have arrived."""
    page.goto(url, wait_until="domcontentloaded")
    page.get_by_role("heading", name="Okawari").wait_for(timeout=WAIT_MS)


def test_the_page_shows_the_forecast_with_its_model_and_interval(page: Page, world: World) -> None:
    open_page(page, world.url)
    expect(page.get_by_test_id("badges")).to_contain_text("Service ready")
    expect(page.get_by_test_id("badges")).to_contain_text("Serving version 1")
    expect(page.locator("#heading")).to_contain_text("contain 90% of the true values")
    expect(page.get_by_test_id("outlook")).to_contain_text("$56.31")
    expect(page.get_by_test_id("outlook")).to_contain_text("$54.90 to $57.71")
    for figure in ("#history", "#ahead"):
        expect(page.locator(f"{figure} .scatterlayer .trace")).to_have_count(3)


def test_the_page_shows_the_state_of_the_loop(page: Page, world: World) -> None:
    open_page(page, world.url)
    cards = page.get_by_test_id("cards")
    for text in ("1,200", "1 Mar 2013", "random_walk", "2 rows", "log return", "only 12 new rows"):
        expect(cards).to_contain_text(text)
    expect(page.get_by_test_id("decisions").locator("tbody tr")).to_have_count(4)


def test_text_from_the_records_is_never_run_as_script(page: Page, world: World) -> None:
    open_page(page, world.url)
    expect(page.get_by_test_id("decisions")).to_contain_text("<script>")
    assert page.title() == "Okawari"
    assert page.locator("#decisions script").count() == 0


def test_a_model_without_interval_says_so(page: Page, world: World) -> None:
    serve_model(world.service, "31", has_interval=False)
    open_page(page, world.url)
    expect(page.locator("#heading")).to_contain_text("No interval: This model has no calibrated interval.")
    expect(page.get_by_test_id("outlook")).to_contain_text("no interval")
    expect(page.locator("#ahead .scatterlayer .trace")).to_have_count(2)


def test_a_newly_served_version_appears_without_a_reload(page: Page, world: World) -> None:
    open_page(page, world.url)
    expect(page.get_by_test_id("badges")).to_contain_text("Serving version 1")
    serve_model(world.service, "2")
    expect(page.get_by_test_id("badges")).to_contain_text("Serving version 2, champion is 1")
    expect(page.locator("#heading")).to_contain_text("version 2")


def test_watching_asks_for_one_forecast_per_model(page: Page, world: World) -> None:
    serve_model(world.service, "51")
    before = world.service.asked["POST /aapl/forecast"]
    open_page(page, world.url)
    expect(page.locator("#heading")).to_contain_text("version 51")
    n_looks = world.service.asked["GET /cases"]
    while world.service.asked["GET /cases"] < n_looks + 2:
        page.wait_for_timeout(500)
    assert world.service.asked["POST /aapl/forecast"] - before == 1


def test_the_report_is_drawn_in_a_frame_that_reaches_nothing(page: Page, world: World) -> None:
    open_page(page, world.url)
    page.get_by_role("tab", name="Data report").click()
    frame = page.locator("iframe.ok-report")
    expect(frame).to_have_attribute("sandbox", "allow-scripts")
    drawn = page.frame_locator("iframe.ok-report")
    expect(drawn.get_by_text("Drift in column 'log_return'").first).to_be_visible()


def test_only_reports_are_served_as_files(page: Page, world: World) -> None:
    open_page(page, world.url)
    page.get_by_role("tab", name="Data report").click()
    address = page.locator("iframe.ok-report").get_attribute("src", timeout=WAIT_MS)
    assert address is not None
    assert httpx.get(world.url + address).status_code == 200
    secret = re.sub(r"/reports/.*", "/mlflow.db", address)
    assert httpx.get(world.url + secret).status_code == 403


def test_a_person_retrains_and_sees_the_run_to_its_end(page: Page, world: World) -> None:
    open_page(page, world.url)
    button = page.get_by_role("button", name="Retrain now")
    expect(button).to_be_enabled()
    stand_run(world.prefect, "RUNNING")
    button.click()
    expect(page.locator("#run .ok-run")).to_have_attribute("data-state", "RUNNING")
    expect(button).to_be_disabled()
    stand_run(world.prefect, "COMPLETED")
    expect(page.locator("#run .ok-run")).to_have_attribute("data-state", "COMPLETED")
    expect(button).to_be_enabled()


def test_a_training_under_way_blocks_the_button_in_every_tab(page: Page, world: World) -> None:
    stand_run(world.prefect, "RUNNING")
    open_page(page, world.url)
    expect(page.locator("#run .ok-run")).to_contain_text("calm-heron is running")
    expect(page.get_by_role("button", name="Retrain now")).to_be_disabled()


def test_an_empty_installation_says_what_to_run(page: Page, empty_url: str) -> None:
    open_page(page, empty_url)
    expect(page.get_by_test_id("placeholder")).to_contain_text("okawari run aapl")
    expect(page.get_by_test_id("badges")).to_contain_text("Service not reachable")
    expect(page.get_by_test_id("cards")).to_contain_text("No model has been promoted.")


def test_several_cases_are_chosen_from_a_list(page: Page, empty_url: str) -> None:
    open_page(page, empty_url)
    expect(page.locator("#heading")).to_contain_text("Apple closing price")
    page.get_by_label("Case").click()
    page.get_by_role("option", name="IBM closing price").click()
    expect(page.locator("#heading")).to_contain_text("IBM closing price")
    expect(page.get_by_test_id("placeholder")).to_contain_text("okawari run ibm")


def test_one_case_needs_no_list(page: Page, world: World) -> None:
    open_page(page, world.url)
    expect(page.get_by_test_id("cards")).to_be_visible()
    expect(page.get_by_label("Case")).to_have_count(0)


def test_without_prefect_the_button_says_so_and_stays_usable(page: Page, empty_url: str) -> None:
    open_page(page, empty_url)
    button = page.get_by_role("button", name="Retrain now")
    expect(button).to_be_enabled()
    button.click()
    expect(page.locator("#run").get_by_role("alert")).to_contain_text("No Prefect server answers")
    expect(button).to_be_enabled()


@pytest.mark.parametrize("width", [360, 420, 768])
def test_narrow_screens_need_no_sideways_scrolling(page: Page, world: World, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    open_page(page, world.url)
    expect(page.get_by_test_id("decisions")).to_be_visible()
    expect(page.locator("#ahead .scatterlayer .trace").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width

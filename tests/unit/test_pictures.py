"""A folder of pictures: what was drawn comes back as the same numbers, and no file is lost in silence."""

from __future__ import annotations

import io
import os
import resource
import socket
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.data.datasets import PIXELS
from okawari.data.files import read_instead
from okawari.data.images import MAX_FILE_BYTES, PictureFolder
from okawari.data.validation import check_readings
from okawari.errors import InvalidInput, SourceUnavailable
from okawari.storage.snapshots import load_readings, record_readings

if TYPE_CHECKING:
    from tests.conftest import Said

NOW = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture
def digits() -> Case:
    return load_case("digits")


@pytest.fixture
def own(digits: Case, tmp_path: Path) -> PictureFolder:
    """The case's settings for an empty folder of this test."""
    assert isinstance(digits.live, PictureFolder)
    (tmp_path / "scans").mkdir()
    return replace(digits.live, path=tmp_path / "scans")


def _save(grey: NDArray[np.float64], file: Path, **options: object) -> None:
    """Write darkness from 0 to 16 as grey on white paper."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(255 - grey * 255 / 16).astype(np.uint8)).save(file, **options)


def _draw(digits: Case, folder: Path, ending: str = "png", n: int = 40) -> pd.DataFrame:
    """Bundled digits as files; the rows that have to come back, in the order of their paths."""
    rows = digits.source.read().head(n)
    for number, row in rows.iterrows():
        _save(row[list(PIXELS)].to_numpy(float).reshape(8, 8), folder / row["digit"] / f"{number:04}.{ending}")
    return rows.sort_values("digit", kind="stable").reset_index(drop=True)


# --- what is drawn comes back -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["png", "bmp", "tiff", "PNG"])
def test_digits_come_back_from_files_as_the_same_whole_numbers(ending: str, digits: Case, own: PictureFolder) -> None:
    drawn = _draw(digits, own.path, ending)
    pd.testing.assert_frame_equal(own.read(), drawn, check_exact=True)


def test_larger_pictures_become_the_means_of_their_boxes(own: PictureFolder) -> None:
    grey = np.random.default_rng(3).integers(0, 17, (24, 40)).astype(float)
    _save(grey, own.path / "7/large.png")
    seen = (255 - np.rint(255 - grey * 255 / 16)) * 16 / 255  # what eight bits keep of it
    found = replace(own, integer=False).read()[list(PIXELS)].to_numpy(float).reshape(8, 8)
    np.testing.assert_allclose(found, seen.reshape(8, 3, 8, 5).mean(axis=(1, 3)), atol=1e-5)
    whole = own.read()[list(PIXELS)].to_numpy(float).reshape(8, 8)
    assert np.array_equal(whole, np.rint(found))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "LA"])
def test_a_grey_picture_is_the_same_in_every_mode(mode: str, own: PictureFolder) -> None:
    grey = np.arange(64, dtype=float).reshape(8, 8) % 17
    (own.path / "3").mkdir()
    picture = Image.fromarray(np.rint(255 - grey * 255 / 16).astype(np.uint8)).convert(mode)
    picture.save(own.path / "3" / ("a.tiff" if mode == "CMYK" else "a.png"))
    assert own.read()[list(PIXELS)].to_numpy(float).ravel().tolist() == grey.ravel().tolist()


def test_sixteen_bits_are_read_as_such(own: PictureFolder) -> None:
    grey = np.arange(64, dtype=float).reshape(8, 8) % 17
    (own.path / "3").mkdir()
    Image.fromarray(np.rint(65535 - grey * 65535 / 16).astype(np.uint16)).save(own.path / "3/a.png")
    assert own.read()[list(PIXELS)].to_numpy(float).ravel().tolist() == grey.ravel().tolist()


def test_light_ink_on_dark_paper_is_a_setting(own: PictureFolder) -> None:
    _save(np.full((8, 8), 4.0), own.path / "1/a.png")
    assert set(own.read().loc[0, list(PIXELS)]) == {4.0}
    assert set(replace(own, dark_is_high=False).read().loc[0, list(PIXELS)]) == {12.0}


@pytest.mark.parametrize("dark_is_high", [True, False])
def test_what_is_transparent_is_paper(dark_is_high: bool, own: PictureFolder) -> None:
    (own.path / "1").mkdir()
    Image.new("RGBA", (8, 8), (128, 128, 128, 0)).save(own.path / "1/a.png")
    assert set(replace(own, dark_is_high=dark_is_high).read().loc[0, list(PIXELS)]) == {0.0}


def test_a_picture_that_the_camera_turned_is_turned_back(own: PictureFolder) -> None:
    grey = np.arange(64, dtype=float).reshape(8, 8) % 17
    turned = Image.Exif()
    turned[0x0112] = 6  # to be shown a quarter turn to the right
    _save(np.rot90(grey), own.path / "1/a.png", exif=turned)
    assert own.read()[list(PIXELS)].to_numpy(float).ravel().tolist() == grey.ravel().tolist()


# --- labels and files ---------------------------------------------------------------------------------------------


def test_the_label_is_the_first_subfolder_and_hidden_files_are_passed_over(own: PictureFolder) -> None:
    for name in ("7/b.png", "7/old/a.png", "0/c.png", "7/.thumb.png", ".trash/7.png"):
        _save(np.zeros((8, 8)), own.path / name)
    assert own.read()["digit"].tolist() == ["0", "7", "7"]


def test_what_is_no_picture_goes_to_quarantine_by_its_name(digits: Case, own: PictureFolder, home: Path) -> None:
    _draw(digits, own.path, n=5)
    _save(np.zeros((8, 8)), own.path / "ten/a.png")
    _save(np.zeros((8, 8)), own.path / "lost.png")
    (own.path / "7").mkdir()
    (own.path / "7/notes.txt").write_text("about sevens")
    whole = (own.path / "1/0001.png").read_bytes()
    (own.path / "7/half.png").write_bytes(whole[: len(whole) // 2])
    checked = check_readings(own.read(), digits, NOW)
    assert checked.refused["reason"].tolist()[1:] == [
        "pixel_00 is '7/notes.txt: not a picture of the formats PNG, JPEG, GIF, BMP, TIFF, WEBP', not a number; "
        "pixel_01 and 62 other columns are missing",
        "digit is missing",
        "digit is 'ten', not one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
    ]
    assert checked.refused["reason"].iloc[0].startswith("pixel_00 is '7/half.png: a damaged picture (")
    done = record_readings(digits, checked.good, checked.refused, NOW)
    assert (done.new_rows, done.quarantined_rows) == (5, 4)
    assert load_readings(digits)["digit"].tolist() == list("01234")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "DDS"])
def test_a_damaged_picture_never_ends_the_reading(kind: str, own: PictureFolder) -> None:
    random = np.random.default_rng(1)
    whole = io.BytesIO()
    Image.fromarray(random.integers(0, 255, (20, 20), dtype=np.uint8)).save(whole, kind)
    (own.path / "7").mkdir()
    for number in range(150):
        damaged = bytearray(whole.getvalue()[: random.integers(1, len(whole.getvalue()) + 1)])
        for place in random.integers(0, len(damaged), 3):
            damaged[place] = random.integers(0, 256)
        (own.path / f"7/{number}.{kind.lower()}").write_bytes(damaged)
    assert len(own.read()) == 150


def test_a_folder_that_holds_nothing_to_read_is_one_clear_sentence(own: PictureFolder, tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"There is no folder .*gone; make it, with a subfolder of pictures"):
        replace(own, path=tmp_path / "gone").read()
    _save(np.zeros((8, 8)), own.path / "a.png")
    with pytest.raises(
        InvalidInput, match=r"scans has no subfolders; each label needs one with its pictures.*Sort them"
    ):
        own.read()
    (own.path / "a.png").unlink()
    (own.path / "7").mkdir()
    with pytest.raises(InvalidInput, match=r"The subfolders of .*scans are empty; put pictures into them"):
        own.read()


def test_a_relative_folder_lies_in_the_home(digits: Case, home: Path) -> None:
    _save(np.zeros((8, 8)), home / "pictures/digits/7/a.png")
    assert digits.live is not None
    assert digits.live.read()["digit"].tolist() == ["7"]


def test_settings_that_make_no_picture_are_refused(own: PictureFolder) -> None:
    with pytest.raises(InvalidInput, match="PictureFolder has 64 pixels in 7 rows"):
        replace(own, height=7)
    with pytest.raises(InvalidInput, match="values go from 16 to 16"):
        replace(own, lowest=16)


# --- in place of the case's source --------------------------------------------------------------------------------


def test_a_folder_is_read_in_place_of_the_cases_source(digits: Case, own: PictureFolder) -> None:
    drawn = _draw(digits, own.path, n=12)
    pd.testing.assert_frame_equal(read_instead(own.path, digits).read(), drawn, check_exact=True)


def test_a_case_without_pictures_refuses_a_folder_of_pictures(own: PictureFolder, call: Callable[..., Said]) -> None:
    with pytest.raises(InvalidInput, match=r"The folder .*scans holds no table; Okawari reads"):
        read_instead(own.path, load_case("blobs"))
    said = call("predict", "blobs", "--file", str(own.path))
    assert said.code == 1
    assert "scans holds no table" in said.err


# --- files that do harm -------------------------------------------------------------------------------------------


def _read_reasons(own: PictureFolder) -> list[str]:
    return [str(reason) for reason in own.read()[PIXELS[0]]]


@pytest.mark.fault
def test_what_is_not_a_regular_file_is_refused_without_being_opened(own: PictureFolder) -> None:
    (own.path / "7").mkdir()
    os.mkfifo(own.path / "7/a.png")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(own.path / "7/b.png"))
        (own.path / "7/c.png").symlink_to("a.png")
        (own.path / "7/d.png").symlink_to("/dev/zero")
        assert _read_reasons(own) == [
            "7/a.png: not a regular file",
            "7/b.png: not a regular file",
            "7/c.png: not a regular file",
            "7/d.png: a link that leads out of the folder; copy the picture into it",
        ]


@pytest.mark.fault
def test_links_are_followed_inside_the_folder_only(own: PictureFolder, tmp_path: Path) -> None:
    _save(np.full((8, 8), 4.0), own.path / "7/a.png")
    _save(np.full((8, 8), 4.0), tmp_path / "secret.png")
    (own.path / "7/b.png").symlink_to(tmp_path / "secret.png")
    (own.path / "7/c.png").symlink_to("a.png")
    (own.path / "7/d.png").symlink_to("gone.png")
    (own.path / "7/e.png").symlink_to("e.png")
    assert _read_reasons(own) == [
        "4.0",
        "7/b.png: a link that leads out of the folder; copy the picture into it",
        "4.0",
        "7/d.png: a link that leads to no file",
        "7/e.png: a link that leads to no file",
    ]


def _write_header(width: int, height: int) -> bytes:
    """A PNG that names its size and has almost no pixels."""
    picture = io.BytesIO()
    Image.new("L", (1, 1)).save(picture, "PNG")
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    whole = picture.getvalue()
    return whole[:12] + header + struct.pack(">I", zlib.crc32(header)) + whole[33:]


@pytest.mark.fault
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [4001, 13_300, 20_000])
def test_a_picture_with_too_many_pixels_is_refused_by_its_header(side: int, own: PictureFolder) -> None:
    (own.path / "7").mkdir()
    (own.path / "7/bomb.png").write_bytes(_write_header(side, side))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (reason,) = _read_reasons(own)
    assert reason.startswith(("7/bomb.png: a picture of ", "7/bomb.png: a damaged picture (Image size"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


@pytest.mark.fault
def test_postscript_is_not_a_picture_and_starts_no_program(own: PictureFolder, monkeypatch, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    (own.path / "7").mkdir()
    (own.path / "7/a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    assert _read_reasons(own) == ["7/a.png: not a picture of the formats PNG, JPEG, GIF, BMP, TIFF, WEBP"]
    assert not (tmp_path / "started").exists()


@pytest.mark.fault
def test_a_huge_file_is_refused_by_its_size(own: PictureFolder) -> None:
    (own.path / "7").mkdir()
    with (own.path / "7/a.png").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    assert _read_reasons(own)[0].startswith("7/a.png: a file of 67108865 bytes; a picture has at most 67108864")

"""A folder of pictures as records. Only home of Pillow.

Shapes: H rows, W columns; grey_HW is 0 where black and 1 where white.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.errors import SourceUnavailable, require
from okawari.settings import load_settings

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, kw_only=True)
class PictureFolder:
    """Pictures in a folder with a subfolder for each label, such as `digits/7/scan.png`.

    Formats are PNG, JPEG, GIF, BMP, TIFF and WebP, of at most 16 million pixels and 64 MB. Only regular files are
    opened; a symbolic link counts as the file that it leads to, which must lie in the folder, too.

    Each picture becomes one record. It is converted to grey and resized: each pixel is the mean of the box that it
    covers, and another shape is stretched. With `dark_is_high`, ink on light paper gets high numbers; transparent areas
    count as paper. An animation is read by its first frame, and a camera's rotation (EXIF) is undone.

    Args:
        path: the folder; a relative path starts at OKAWARI_HOME.
        pixels: the case's columns, row by row from the top left.
        height: rows of a picture.
        target: the case's column for the label.
        lowest, highest: values of black and white, or of white and black with `dark_is_high`.
        dark_is_high: whether black is the highest value.
        integer: whether values are rounded to whole numbers.
    """

    path: Path
    pixels: tuple[str, ...] = field(repr=False)  # the case's own columns, which the case describes
    height: int
    target: str
    lowest: float
    highest: float
    dark_is_high: bool
    integer: bool = False

    def __post_init__(self) -> None:
        require(
            self.height > 0 and len(self.pixels) > 0 and len(self.pixels) % self.height == 0,
            f"PictureFolder has {len(self.pixels)} pixels in {self.height} rows; rows need equal numbers of pixels. "
            "Change pixels or height.",
        )
        require(
            self.lowest < self.highest,
            f"PictureFolder's values go from {self.lowest:g} to {self.highest:g}; lowest must be below highest. "
            "Correct them.",
        )

    def read(self, until: date | None = None) -> pd.DataFrame:
        """Columns `pixels` and the target, one row per file in the order of paths; `until` has no effect.

        Hidden files are skipped. A file that is not a picture is also a row: its first pixel holds the reason and the
        others are missing, so that the checks refuse it with its path. A file outside the subfolders has no label.

        Raises:
            SourceUnavailable: the folder does not exist, has no subfolder, or these hold no file.
        """
        folder = load_settings().state_dir / self.path
        rows = [self._read_row(file, folder) for file in _list_files(folder)]
        return pd.DataFrame(rows, columns=[*self.pixels, self.target])

    def require_readable(self) -> None:
        """Check that the folder can hold pictures, without reading one; raises like `read`."""
        _list_files(load_settings().state_dir / self.path)

    def _read_row(self, file: Path, folder: Path) -> list[Any]:
        inside = file.relative_to(folder)
        label = inside.parts[0] if len(inside.parts) > 1 else None
        try:
            _require_regular(file, folder)
            grey_HW = _read_grey(file, (self.height, len(self.pixels) // self.height), self.dark_is_high)
        except _Unreadable as why:
            return [f"{inside.as_posix()}: {why}", *[np.nan] * (len(self.pixels) - 1), label]
        share = 1 - grey_HW if self.dark_is_high else grey_HW
        values = self.lowest + (self.highest - self.lowest) * share
        return [*(np.rint(values) if self.integer else values).ravel(), label]


FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")
"""Formats that Pillow decodes itself: others start programs (Ghostscript for EPS) or are rarely tested."""
MAX_PIXELS = 16 * 10**6
"""The largest picture takes 0.3 GB while it is read: RGBA, its conversion and grey as float32."""
MAX_FILE_BYTES = 64 * 2**20
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, NotImplementedError)
"""Exceptions that Pillow raises for truncated or damaged files, besides its own and struct's."""


class _Unreadable(Exception):
    """A file cannot be read as a picture; the message gives the reason."""


def _list_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise SourceUnavailable(f"There is no folder {folder}; make it, with a subfolder of pictures for each label.")
    seen = [path for path in folder.rglob("*") if not any(part[0] == "." for part in path.relative_to(folder).parts)]
    if not any(path.is_dir() and path.parent == folder for path in seen):
        raise SourceUnavailable(
            f"{folder} has no subfolders; each label needs one with its pictures, such as 7/scan.png. Sort them."
        )
    files = sorted(path for path in seen if not path.is_dir())
    if not files:
        raise SourceUnavailable(f"The subfolders of {folder} are empty; put pictures into them.")
    return files


def _require_regular(file: Path, folder: Path) -> None:
    """Raise `_Unreadable` for what is not a regular file of the folder, without opening it: a FIFO would block."""
    try:
        place = file.resolve(strict=True)
        found = place.stat()
    except (OSError, RuntimeError):  # RuntimeError: links that lead to each other
        raise _Unreadable("a link that leads to no file") from None
    if not place.is_relative_to(folder.resolve()):
        raise _Unreadable("a link that leads out of the folder; copy the picture into it")
    if not stat.S_ISREG(found.st_mode):
        raise _Unreadable("not a regular file")
    if found.st_size > MAX_FILE_BYTES:
        raise _Unreadable(f"a file of {found.st_size} bytes; a picture has at most {MAX_FILE_BYTES}. Save it smaller")


def _read_grey(file: Path, shape: tuple[int, int], paper_is_light: bool) -> NDArray[np.float64]:
    """A picture as grey values from 0 to 1, resized to [H, W]. Raises `_Unreadable`."""
    import struct

    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(file, formats=FORMATS) as found:
            _require_few_pixels(found)
            grey, white = _to_grey(ImageOps.exif_transpose(found), paper_is_light)
            small = grey.resize(shape[::-1], Image.Resampling.BOX)
    except UnidentifiedImageError:
        raise _Unreadable(f"not a picture of the formats {', '.join(FORMATS)}") from None
    except (*_DAMAGE, struct.error, Image.DecompressionBombError) as damage:
        raise _Unreadable(f"a damaged picture ({damage})") from None
    return np.asarray(small, dtype=np.float64) / white


def _require_few_pixels(found: Image.Image) -> None:
    """Raise `_Unreadable` if the size in the header is too large; nothing is decoded yet."""
    n_pixels = found.width * found.height
    if n_pixels > MAX_PIXELS:
        raise _Unreadable(f"a picture of {n_pixels} pixels; it may have {MAX_PIXELS}. Save it smaller")


def _to_grey(found: Image.Image, paper_is_light: bool) -> tuple[Image.Image, float]:
    """Grey values as float32, so that means are not rounded, and the value of white."""
    from PIL import Image

    if found.mode.startswith("I;16"):
        return Image.fromarray(np.asarray(found).astype(np.float32)), 65535.0
    if found.mode in ("I", "F"):
        raise ValueError(f"mode {found.mode}, whose white is unknown; save it with 8 or 16 bits")
    if found.has_transparency_data:
        paper = Image.new("RGBA", found.size, "white" if paper_is_light else "black")
        found = Image.alpha_composite(paper, found.convert("RGBA"))
    return found.convert("L").convert("F"), 255.0

"""A folder of pictures as records. Only home of Pillow.

Shapes: H rows, W columns; grey_HW is 0 where black and 1 where white.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.errors import InvalidInput, SourceUnavailable, require
from okawari.settings import load_settings

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, kw_only=True)
class PictureFolder:
    """Pictures in a folder with a subfolder for each label, such as `digits/7/scan.png`; any format that Pillow reads.

    A picture becomes one record: grey, each of its pixels the mean of the box that it covers, stretched if its shape is
    another one. With `dark_is_high`, ink on light paper gets high numbers; what is transparent is paper. Of a moving
    picture the first frame counts, and what a camera turned is turned back.

    Args:
        path: the folder; if relative, in OKAWARI_HOME.
        pixels: the case's columns, row by row from the top left.
        height: rows of a picture.
        target: the case's column for the label.
        lowest, highest: what black and white become, or white and black with `dark_is_high`.
        dark_is_high: whether black is the highest value.
        integer: whether values are rounded to whole numbers.
    """

    path: Path
    pixels: tuple[str, ...] = field(repr=False)  # the case's own columns, which are described where they stand
    height: int
    target: str
    lowest: float
    highest: float
    dark_is_high: bool
    integer: bool = False

    def __post_init__(self) -> None:
        require(
            self.height > 0 and len(self.pixels) > 0 and len(self.pixels) % self.height == 0,
            f"PictureFolder has {len(self.pixels)} pixels in {self.height} rows; use as many pixels in each row.",
        )
        require(
            self.lowest < self.highest,
            f"PictureFolder's values go from {self.lowest:g} to {self.highest:g}; use a lowest one below the highest.",
        )

    def read(self, until: date | None = None) -> pd.DataFrame:
        """Columns `pixels` and the target, a row for each file by its path; `until` has no meaning here.

        Hidden files are passed over. A file that is no picture is a row all the same: its first pixel says why and the
        others are missing, so that the checks refuse it by name. A file outside the subfolders has no label.

        Raises:
            SourceUnavailable: no such folder.
            InvalidInput: no subfolder in it, or no file in those.
        """
        folder = load_settings().state_dir / self.path
        rows = [self._read_row(file, folder) for file in _list_files(folder)]
        return pd.DataFrame(rows, columns=[*self.pixels, self.target])

    def _read_row(self, file: Path, folder: Path) -> list[Any]:
        inside = file.relative_to(folder)
        label = inside.parts[0] if len(inside.parts) > 1 else None
        try:
            grey_HW = _read_grey(file, (self.height, len(self.pixels) // self.height), self.dark_is_high)
        except _NoPicture as why:
            return [f"{inside.as_posix()}: {why}", *[np.nan] * (len(self.pixels) - 1), label]
        share = 1 - grey_HW if self.dark_is_high else grey_HW
        values = self.lowest + (self.highest - self.lowest) * share
        return [*(np.rint(values) if self.integer else values).ravel(), label]


_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, NotImplementedError)
"""What Pillow says of files that are cut off or damaged, beside its own and struct's errors."""


class _NoPicture(Exception):
    """A file cannot be read as a picture; the message gives the reason."""


def _list_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise SourceUnavailable(f"There is no folder {folder}; make it, with a subfolder of pictures for each label.")
    seen = [path for path in folder.rglob("*") if not any(part[0] == "." for part in path.relative_to(folder).parts)]
    if not any(path.is_dir() and path.parent == folder for path in seen):
        raise InvalidInput(
            f"{folder} has no subfolders; pictures lie in one for each label, such as 7/scan.png. Sort them into such."
        )
    files = sorted(path for path in seen if not path.is_dir())
    if not files:
        raise InvalidInput(f"The subfolders of {folder} are empty; put pictures into them.")
    return files


def _read_grey(file: Path, shape: tuple[int, int], paper_is_light: bool) -> NDArray[np.float64]:
    """A picture in another size [H, W]. Raises `_NoPicture`."""
    import struct

    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(file) as found:
            grey, white = _to_grey(ImageOps.exif_transpose(found), paper_is_light)
            small = grey.resize(shape[::-1], Image.Resampling.BOX)
    except UnidentifiedImageError:
        raise _NoPicture("no picture that Pillow knows") from None
    except (*_DAMAGE, struct.error, Image.DecompressionBombError) as damage:
        raise _NoPicture(f"a damaged picture ({damage})") from None
    return np.asarray(small, dtype=np.float64) / white


def _to_grey(found: Image.Image, paper_is_light: bool) -> tuple[Image.Image, float]:
    """Grey values as float32, so that means are not rounded, and which of them is white."""
    from PIL import Image

    if found.mode.startswith("I;16"):
        return Image.fromarray(np.asarray(found).astype(np.float32)), 65535.0
    if found.mode in ("I", "F"):
        raise ValueError(f"mode {found.mode}, whose white is unknown; save it with 8 or 16 bits")
    if found.has_transparency_data:
        paper = Image.new("RGBA", found.size, "white" if paper_is_light else "black")
        found = Image.alpha_composite(paper, found.convert("RGBA"))
    return found.convert("L").convert("F"), 255.0

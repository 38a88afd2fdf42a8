"""Format of `--help`: placeholders without braces, flags without a type, and paragraphs that fit the terminal."""

from __future__ import annotations

import inspect
import re
from typing import Any

from typer import Context
from typer.core import TyperCommand, TyperGroup, TyperOption

_REQUIRED = re.compile(r"\{(.+)\}(\.\.\.)?")


class HelpfulCommand(TyperCommand):
    """A command with plain help. Register commands with `app.command(cls=HelpfulCommand)`."""

    def __init__(self, *args: Any, help: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, help=help and join_lines(help), **kwargs)

    def collect_usage_pieces(self, ctx: Context) -> list[str]:  # type: ignore[override]
        """The usage line with required placeholders as CASE; Typer writes {CASE}."""
        return [_REQUIRED.sub(r"\1\2", piece) for piece in super().collect_usage_pieces(ctx)]

    def get_params(self, ctx: Context) -> list[Any]:  # type: ignore[override]
        """The parameters; flags take no value, so their help names no type."""
        return _hide_flag_types(super().get_params(ctx))


class HelpfulGroup(TyperGroup):
    """The program itself, with the same help format."""

    def get_params(self, ctx: Context) -> list[Any]:  # type: ignore[override]
        """The parameters; flags take no value, so their help names no type."""
        return _hide_flag_types(super().get_params(ctx))


def join_lines(text: str) -> str:
    """A docstring with each paragraph joined into one line; the terminal wraps it.

    >>> join_lines("One.\\n\\n    Two\\n    lines.")
    'One.\\n\\nTwo lines.'
    """
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in inspect.cleandoc(text).split("\n\n"))


def _hide_flag_types(params: list[Any]) -> list[Any]:
    for param in params:
        if isinstance(param, TyperOption) and param.is_flag:
            param.metavar = ""
    return params

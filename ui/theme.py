"""Style of the page: Gradio's theme, reduced to system fonts and our colours. All other rules are in page.css."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

STYLE_SHEET = Path(__file__).with_name("page.css")
MARK = Path(__file__).with_name("mark.svg")


def build_theme() -> gr.themes.Base:
    """A theme with system fonts only, so that the page loads nothing from other servers."""
    theme = gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_md,
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    return theme.set(
        body_background_fill="#faf9f6",
        body_background_fill_dark="#141312",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#1c1a19",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_padding="0px",
        block_shadow="none",
        layout_gap="20px",
        button_primary_background_fill="#0f766e",
        button_primary_background_fill_hover="#115e59",
        button_primary_background_fill_dark="#0f766e",
        button_primary_background_fill_hover_dark="#14857b",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
    )


def load_mark() -> str:
    """The logo as SVG text."""
    return MARK.read_text(encoding="utf-8")

"""Okawari keeps prediction models good: it ingests, trains, serves, watches and retrains in a closed loop.

This package is the core. It imports neither Prefect, BentoML, Gradio nor Evidently; the applications
beside it do (`flows`, `bentos`, `ui`, `monitoring`). They import the core and never each other.

`okawari.Client` is the client of the prediction service; `okawari.check_recipe` checks a recipe of your own. Both are
imported at their first use.
"""

from typing import Any

__version__ = "0.1.0"
__all__ = ["Client", "__version__", "check_recipe"]

_LAZY = {"Client": "okawari.clients.prediction_service", "check_recipe": "okawari.training.recipe_checks"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LAZY[name]), name)

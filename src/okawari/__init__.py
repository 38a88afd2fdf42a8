"""Okawari keeps prediction models good: it ingests, trains, serves, watches and retrains in a closed loop.

This package is the core. It knows nothing of Prefect, BentoML, Gradio or Evidently; those live in the
applications beside it (`flows`, `bentos`, `ui`, `monitoring`), which import the core and never each other.
"""

__version__ = "0.1.0"

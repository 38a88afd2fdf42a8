"""The flow around `okawari.training.package`, for a version that is registered."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.publish import PrefectHost
from okawari.cases.loader import load_case
from okawari.training.package import load_packaging, package_version


@flow(name="package", flow_run_name="package {case}")
def package(case: str, version: str | None = None) -> dict[str, Any]:
    """Put a registered version into service.

    Args:
        case: name of the case.
        version: registered version; the champion, if None.
    """
    return package_version(load_packaging(load_case(case), version), PrefectHost())

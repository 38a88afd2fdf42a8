"""A separate installation for a rehearsal, with its own state, servers and ports."""

from __future__ import annotations

import shutil
import socket
from contextlib import ExitStack

from okawari.settings import Settings, adopt_settings, load_settings
from okawari.storage.group_lock import is_group_running

_OUTWARD = (
    *("prefect_url", "mlflow_url", "service_url", "data_url"),
    *("allowed_hosts", "api_key", "tls_cert", "tls_key", "tls_ca", "root_path", "ui_root_path"),
)
"""Settings that lead to other machines or open the servers to them; a rehearsal has none of these."""


def isolate(settings: Settings, fresh: bool) -> Settings:
    """The same settings with separate state, servers and free ports.

    Deletes the state of an earlier rehearsal if that has finished or if `fresh`, unless its servers run.
    """
    home = settings.state_dir / "loop"
    names = ("prefect_port", "mlflow_port", "service_port", "ui_port")
    ports = dict(zip(names, find_free_ports(len(names)), strict=True))
    here = dict.fromkeys(_OUTWARD, "") | {"host": "127.0.0.1"}
    # Three candidates of eight, so that seven trainings take minutes; OKAWARI_CANDIDATES selects others.
    few = settings.candidates or "random_walk,sarima_211_1005,lstm_2x64"
    own = settings.model_copy(update={"home": home, "cases": "aapl", "candidates": few, **here, **ports})
    if (fresh or (home / "finished").exists()) and not is_group_running(own):
        shutil.rmtree(home, ignore_errors=True)
    adopt_settings(own)
    return load_settings()


def find_free_ports(count: int) -> list[int]:
    """Ports that were free at the time of the check."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]

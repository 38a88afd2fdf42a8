"""The command `okawari migrate`: convert older state to the version that this program reads."""

from __future__ import annotations


def migrate() -> None:
    """Convert the state folder to the version that this Okawari reads. Stop `okawari up` first."""
    from okawari.cases.loader import load_case
    from okawari.settings import load_settings
    from okawari.storage.migrations import migrate_state

    before, after = migrate_state(load_case)
    folder = load_settings().state_dir
    if before == after:
        print(f"{folder} already has version {after}; nothing was changed.")
    else:
        print(f"{folder} was converted from version {before} to {after}.")

"""The command `okawari migrate`: bring older state to the version that this program reads."""

from __future__ import annotations


def migrate() -> None:
    """Bring the state folder to the version that this Okawari reads. Stop `okawari up` first."""
    from okawari.settings import load_settings
    from okawari.storage.state_version import migrate_state

    before, after = migrate_state()
    folder = load_settings().state_dir
    if before == after:
        print(f"{folder} holds state of version {after}; there is nothing to do.")
    else:
        print(f"{folder} was taken from version {before} to {after}.")

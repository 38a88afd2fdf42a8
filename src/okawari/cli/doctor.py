"""The command `okawari doctor`: check this installation and say what to do."""

from __future__ import annotations

import typer


def doctor() -> None:
    """Check this installation, and say what to do about what is wrong. Works with and without `okawari up`.

    Looks at versions, settings, disk, state, clock, ports, cases, servers and champions, and changes nothing. Exits
    with code 1 if there is a problem; warnings alone leave it at 0.
    """
    from okawari.cli.output import show_table
    from okawari.local.checks import examine
    from okawari.local.findings import Level
    from okawari.settings import load_settings
    from okawari.storage.group_lock import wait_for_restarts

    wait_for_restarts(0.0)
    found = examine(load_settings())
    show_table(
        [{"result": each.level, "check": each.subject, "seen": each.seen, "what to do": each.advice} for each in found]
    )
    if any(each.level == Level.PROBLEM for each in found):
        raise typer.Exit(1)

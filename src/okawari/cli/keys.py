"""The commands `okawari keys create | list | revoke`: the API keys of this installation."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from okawari.cli.help import HelpfulCommand, HelpfulGroup
from okawari.security.api_keys import ApiKey, KeyScope, create_key, load_keys, parse_lifetime, revoke_key

keys = typer.Typer(
    name="keys",
    cls=HelpfulGroup,
    help="Create, list and revoke the API keys of the prediction service and the page.",
    no_args_is_help=True,
)


@keys.command(cls=HelpfulCommand)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who uses the key, such as web-shop.")],
    scope: Annotated[
        list[KeyScope], typer.Option("--scope", help="What the key is for; repeat it for more. admin means all.")
    ],
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="Lifetime in days or hours: 90d, 12h; no expiry, if left out.")
    ] = None,
) -> None:
    """Create a key and print it, once: only its hash is stored. Running servers accept it at once.

    From the first key on, service and page need one.

    Example: okawari keys create web-shop --scope predict --scope outcomes --expires 90d
    """
    lifetime = None if expires is None else parse_lifetime(expires)
    key, token = create_key(name, scope, lifetime)
    until = "without expiry" if key.expires_at is None else f"until {key.expires_at:%Y-%m-%d %H:%M} UTC"
    note = f"The key {name} is valid {until} for {', '.join(key.scopes)}. It is shown only now; store it safely."
    print(note, file=sys.stderr)
    print(token)


@keys.command("list", cls=HelpfulCommand)
def list_keys() -> None:
    """List all keys with scopes, expiry and last use. The keys themselves are not stored."""
    from okawari.cli.output import show_table

    known = load_keys()
    if not known:
        print("There are no keys; service and page are served on loopback only.")
        return
    show_table([_describe(key) for key in known])


@keys.command(cls=HelpfulCommand)
def revoke(name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the key.")]) -> None:
    """Revoke a key. Running servers refuse it at once; service and page still need keys after the last one."""
    key = revoke_key(name)
    print(f"The key {name} ({key.id}) is revoked.")


def _describe(key: ApiKey) -> dict[str, str]:
    days = {
        "created": key.created_at,
        "expires": key.expires_at,
        "last used": key.used_at,
        "revoked": key.revoked_at,
    }
    shown = {name: "" if at is None else f"{at:%Y-%m-%d %H:%M}" for name, at in days.items()}
    return {"name": key.name, "id": key.id, "scopes": ", ".join(key.scopes), **shown}

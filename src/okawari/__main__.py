"""`python -m okawari` runs the command `okawari`."""

from __future__ import annotations

from okawari.cli.main import main

if __name__ == "__main__":
    main()

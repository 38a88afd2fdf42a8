"""`python -m okawari`: the command line."""

from okawari.cli.main import main

if __name__ == "__main__":
    main()

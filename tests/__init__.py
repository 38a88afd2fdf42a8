"""All tests; a package, because some libraries install a top-level `tests` of their own."""

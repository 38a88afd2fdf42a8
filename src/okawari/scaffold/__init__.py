"""`okawari new`: from a table to a case file."""

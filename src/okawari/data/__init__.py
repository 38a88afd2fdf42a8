"""Reading raw tables and validating them, row by row."""

"""The page: what the loop did and what the served model says. Reads state, speaks HTTP, decides nothing."""

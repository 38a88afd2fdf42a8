"""The page: the loop's history and the served model's answers. Reads state, asks over HTTP, decides nothing."""

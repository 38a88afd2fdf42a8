"""The page: the loop's history and the served model's answers. Reads state and calls the service; decides nothing."""

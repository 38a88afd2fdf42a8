"""Model families, one file each. A family is a recipe (settings) whose `fit` returns a model; see `recipe`."""

"""Model families, one file each: a recipe (settings) whose `fit` returns a model."""

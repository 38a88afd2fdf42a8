"""Hyperparameter search as a recipe."""

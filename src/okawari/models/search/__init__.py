"""Hyperparameter search as a recipe among others."""

"""Score a file of any length with one version of a model."""

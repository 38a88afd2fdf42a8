"""A training as plain functions: fit candidates, quantize the best, run the gate, package a promoted version."""

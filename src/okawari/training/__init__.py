"""A training as plain functions: fit candidates, quantize the best, decide by the gate, package what is promoted."""

"""Pure decisions: frozen facts in, a `Decision` with its reason out; no clock, no I/O."""

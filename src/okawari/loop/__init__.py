"""The state of the loop, read only: status, facts for decisions, lineage."""

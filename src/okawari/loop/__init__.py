"""The state of the loop, read side: status, facts for decisions, lineage."""

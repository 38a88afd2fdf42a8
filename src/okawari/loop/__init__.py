"""The state of the loop: status, facts for decisions, lineage, and the requests for a training and their turns."""

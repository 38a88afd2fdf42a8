"""The rehearsal that proves that the loop closes on real drift."""

"""What the page shows: pure functions from facts to HTML (by `ui/templates`) or a figure. No HTTP, no clock in here."""

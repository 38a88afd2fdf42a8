"""What the page shows: pure functions from facts to HTML or a figure. No HTTP, no files, no clock in here."""

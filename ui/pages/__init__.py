"""What the page shows: pure functions from facts to HTML or a figure. No HTTP, no clock in here; the HTML itself is in `ui/templates`."""

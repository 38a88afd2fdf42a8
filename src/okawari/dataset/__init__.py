"""From a frame of readings to arrays, windows and splits."""

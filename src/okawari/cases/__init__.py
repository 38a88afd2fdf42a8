"""The bundled cases, one file each, and the loader that finds a case by its name."""

"""The bundled cases, one file each, and the loader, which returns a case by its name."""

"""Prefect flows, one a file: ingest, train, quantize, package, monitor, reconcile."""

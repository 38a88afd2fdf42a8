"""Prefect flows, one per file: ingest, train, quantize, package, monitor, score, reconcile."""

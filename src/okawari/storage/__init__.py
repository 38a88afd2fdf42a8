"""Everything on disk except MLflow: tables, snapshots, logs, journal, deployables."""

"""Training runs, model versions and the champion. Only home of MLflow and matplotlib."""

"""MLflow: runs, registered models, and a warehouse that moved."""

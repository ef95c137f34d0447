"""Machine learning: specs, training sets, encoders, network, training, registry, scoring, reproduction."""

import os

# MLflow reads these when it is first imported: nobody outside is told of our runs, and no bars are drawn over
# our own progress.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

# Read when torch is imported. Its threads otherwise spin while they wait for each other: beside other
# processes on the same cores an epoch took 49 s instead of 8 s. The weights are the same.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

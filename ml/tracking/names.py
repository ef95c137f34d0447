"""What registered versions are told apart by; light, as MLflow takes seconds to import."""

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
# The tag of a version with its weights' SHA-256: in the database, while the weights lie among files.
WEIGHTS_DIGEST = "weights_sha256"

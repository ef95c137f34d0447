"""Lineage for other tools: OpenLineage events from what this project knows of itself."""

"""Scores of a table version's rows."""

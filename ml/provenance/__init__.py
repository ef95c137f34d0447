"""What a run was made from, and what is no longer as it was."""

"""What scores: network and bundle. Logged models import these paths; they stay."""

"""Scores online: the same bits as batch scoring gives, in milliseconds, each of them logged."""

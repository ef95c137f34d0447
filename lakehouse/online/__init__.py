"""Features online: released rows by their entity, in milliseconds, bit for bit as they are in Delta."""

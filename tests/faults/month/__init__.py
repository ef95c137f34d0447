"""A month that runs itself: deliveries come late, wrong or never, and processes die."""

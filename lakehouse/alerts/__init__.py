"""Alerts: what people want to be told when nobody looks. One place, whoever notices.

`raise_alert` notes that something is wrong, `resolve` that it no longer is; both write into a file of the
warehouse and return at once. `lakehouse.alerts.send` tells the receivers of the setting LAKEHOUSE_ALERT_URLS.
"""

from lakehouse.alerts.outbox import EVENTS, KINDS, raise_alert, resolve

__all__ = ["EVENTS", "KINDS", "raise_alert", "resolve"]

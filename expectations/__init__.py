"""Great Expectations suites, the validator, the gate and quarantine."""

import os

# Read by Great Expectations on import: this warehouse tells nobody what it holds.
os.environ["GX_ANALYTICS_ENABLED"] = "false"

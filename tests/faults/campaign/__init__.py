"""Faults at random, replayable moments of a day's work, counted: what was lost, doubled or seen half.

    make test-faults                                     all of them, 20 times each, an hour
    python -m tests.faults.campaign --only engine_killed --times 3 --seed 7

One small lakehouse lives through all of it, on a warehouse and an engine of its own: real deliveries,
ingestion, dbt, Delta, gates and releases, in processes that are killed. Each injection lets a day arrive,
strikes while it is worked on, lets the work be done again, and compares what is there with what plain
Python makes of the same deliveries.
"""

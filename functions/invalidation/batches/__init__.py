"""The life of a batch: joined, closed, resolved, finished, and swept up after.

What it promises: from acceptance until an invalidation created after it exists for every distribution that serves it,
a change is in the table, as pending or owned by an unfinished batch, or it is owed by a parked batch that somebody has
been told of; or somebody has given it up, and the record says who and why. Any step may die at any point, run twice, or
come back late.

Nothing in here knows DynamoDB, reads a clock, or sleeps: the table and the clock are arguments.
"""

from __future__ import annotations

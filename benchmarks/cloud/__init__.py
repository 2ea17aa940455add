"""A model of AWS: as much as the cost of a deploy depends on, in one process, on its own clock.

The state machine's own definition is walked, the real handlers do the work, and what they ask of AWS is answered and
counted here. What cannot be counted is assumed, in ``assumed.py`` and nowhere else.
"""

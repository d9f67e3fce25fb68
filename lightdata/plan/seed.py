"""Seeds of random steps that were given none."""

from __future__ import annotations

import secrets
from dataclasses import replace

from lightdata.plan.node import Plan
from lightdata.plan.relational import RandomShuffle, Sample


def with_seeds(plan: Plan) -> Plan:
    """Draw a seed for every random step without one; a step that is read in several places has one seed.

    >>> from lightdata.io.memory import RangeSource
    >>> from lightdata.plan.node import Scan
    >>> with_seeds(RandomShuffle(input=Scan(source=RangeSource(3)))).seed is None
    False
    """
    done: dict[int, Plan] = {}

    def seeded(step: Plan) -> Plan:
        if id(step) not in done:
            new = step.map_inputs(seeded)
            if isinstance(new, Sample | RandomShuffle) and new.seed is None:
                new = replace(new, seed=secrets.randbelow(2**32))
            done[id(step)] = new
        return done[id(step)]

    return seeded(plan)

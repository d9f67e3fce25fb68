"""Seeds of random steps that were given none."""

from __future__ import annotations

import random
from dataclasses import replace

from lightdata.plan.node import Plan
from lightdata.plan.relational import RandomShuffle, Sample


def with_seeds(plan: Plan, seed: int | None = None) -> Plan:
    """Draw a seed for every random step without one; a step that is read in several places has one seed.

    The same ``seed`` gives the same seeds.

    >>> from lightdata.io.memory import RangeSource
    >>> from lightdata.plan.node import Scan
    >>> with_seeds(RandomShuffle(input=Scan(source=RangeSource(3)))).seed is None
    False
    """
    done: dict[int, Plan] = {}
    draw = random.Random(seed) if seed is not None else random.SystemRandom()  # noqa: S311 - nothing secret

    def seeded(step: Plan) -> Plan:
        if id(step) not in done:
            new = step.map_inputs(seeded)
            if isinstance(new, Sample | RandomShuffle) and new.seed is None:
                new = replace(new, seed=draw.getrandbits(32))
            done[id(step)] = new
        return done[id(step)]

    return seeded(plan)

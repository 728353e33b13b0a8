"""The AWS part of ``make check``: the state machine by AWS's validator, the template against AWS's quotas."""

from __future__ import annotations

import sys

from checks import machine
from checks.places import PLACES, Filled
from checks.quotas import findings, portable, sizes
from checks.synthesis import COUNTS, definitions, stack_name, templates


def main() -> int:
    """Print the checks and every finding; return the exit code."""
    made = templates()
    evaluations = machine.recorded()
    used = definitions(made[COUNTS[0]])
    found = [f"state machine: {each}" for one in used for each in machine.problems(one, evaluations)]
    texts, seen = len(set(machine.expressions(used))), len(evaluations)
    print(f"  {len(used)} state machines: asl-validator; {texts} expressions on {seen} inputs, with both JSONatas")
    for count, template in made.items():
        if count != COUNTS[-1]:  # its settings have the ARN of a customer's key
            found += [f"{count} connections: {each}" for each in portable(template)]
        largest: dict[str, int] = {}
        for place in PLACES:
            filled = Filled(template, stack_name(count), place)
            found += [f"{count} connections in {place.region}: {each}" for each in findings(template, filled)]
            largest = {name: max(used, largest.get(name, 0)) for name, used in sizes(template, filled).items()}
        of_quotas = ", ".join(f"{name} {percent} %" for name, percent in largest.items())
        print(f"  {count} connections in {len(PLACES)} Regions of 3 partitions: {of_quotas} of the quota")
    for each in found:
        print(each, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

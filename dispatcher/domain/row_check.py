"""Whether a person's values may stand in the slots of a template: the rules of `content.py`, row by row.

A value that Meta would refuse is found while the file is read, where line and column can still be named.
What depends on several values at once (a body that becomes too long) is left to the payload.
"""

from __future__ import annotations

from collections.abc import Sequence

from dispatcher.domain.audience import Check
from dispatcher.domain.content import Column, SlotMapping, problem_with
from dispatcher.domain.template import Template


def row_check(template: Template, mapping: SlotMapping) -> Check:
    """A check of values in the order of ``mapping.columns``, which must be complete (``complete_mapping``)."""
    columns = mapping.columns
    rules = [
        (columns.index(source.name), source.name, slot)
        for path, source in mapping.assignments
        if isinstance(source, Column) and (slot := template.slot(path)) is not None
    ]

    def check(values: Sequence[str]) -> tuple[str, str] | None:
        for place, column, slot in rules:
            if problem := problem_with(slot, values[place]):
                return column, f"{slot.path} {problem}"
        return None

    return check

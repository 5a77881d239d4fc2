"""Plans what is reported of an accepted message: which receipts, and when each of them happens.

The plan is made at acceptance, whether or not the answer to the post then arrives, and is drawn from a generator of
its own. How a receipt travels, late, twice or never, is for `deliveries`.
"""

import random
from collections.abc import Iterator
from itertools import accumulate

from ..behaviour import WebhookBehaviour
from ..weather import Weather
from .deliveries import Deliveries
from .updates import AcceptedMessage, Receipt, ReceiptStatus

_FAILED_TOO_CODE = 131026
"""Message undeliverable, by one of several devices."""


class Receipts:
    """Reports accepted messages by the behaviour of now."""

    def __init__(self, weather: Weather, deliveries: Deliveries) -> None:
        """The generator is the deliveries' own, so that one seed repeats all webhooks."""
        self._weather = weather
        self._deliveries = deliveries

    def code_to_fail_with(self) -> int | None:
        """Whether the next accepted message is to fail later, and with which code."""
        return draw_failure(self._weather.behaviour.webhooks, self._deliveries.chance)

    def plan(self, message: AcceptedMessage, fails_later: int | None) -> None:
        """Have everything reported that will happen to this message."""
        webhooks = self._weather.behaviour.webhooks
        for receipt in planned(message, fails_later, webhooks, self._deliveries.chance):
            self._deliveries.add(receipt, receipt.at_ms)


def draw_failure(webhooks: WebhookBehaviour, chance: random.Random) -> int | None:
    """A code by its share, or None."""
    if not webhooks.failures:
        return None
    drawn = chance.random()
    marks = zip(accumulate(webhooks.failures.values()), webhooks.failures, strict=True)
    return next((code for mark, code in marks if drawn < mark), None)


def planned(
    message: AcceptedMessage, fails_later: int | None, webhooks: WebhookBehaviour, chance: random.Random
) -> Iterator[Receipt]:
    """The receipts of one message. `sent` is never after `delivered`, `delivered` never after `read`."""

    def happens(share: float) -> bool:
        return share >= 1 or (share > 0 and chance.random() < share)

    if fails_later is not None:
        at_ms = message.at_ms + int(webhooks.failed.draw_ms(chance))
        yield Receipt(message, ReceiptStatus.FAILED, at_ms, fails_later)
        return
    at_ms = message.at_ms + int(webhooks.sent.draw_ms(chance))
    yield Receipt(message, ReceiptStatus.SENT, at_ms, is_priced=True)
    if not happens(webhooks.delivered_share):
        return
    at_ms += int(webhooks.delivered.draw_ms(chance))
    is_read = happens(webhooks.read_share)
    is_delivered = not (is_read and happens(webhooks.read_only_share))
    if is_delivered:
        yield Receipt(message, ReceiptStatus.DELIVERED, at_ms, is_priced=True)
        if happens(webhooks.failed_too_share):
            failed_at_ms = at_ms + int(webhooks.failed.draw_ms(chance))
            yield Receipt(message, ReceiptStatus.FAILED, failed_at_ms, _FAILED_TOO_CODE)
    if is_read:
        at_ms += int(webhooks.read.draw_ms(chance))
        yield Receipt(message, ReceiptStatus.READ, at_ms, is_priced=not is_delivered)

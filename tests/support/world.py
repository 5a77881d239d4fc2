"""A whole house for one test: a ledger and limits of its own, and an account at the sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from dispatcher.api import webhooks
from dispatcher.app import App
from dispatcher.domain.campaign import Campaign, CampaignState, Counts
from dispatcher.domain.ids import CampaignId, LaneId, Token
from dispatcher.domain.message import MessageState
from dispatcher.domain.rate import Rate
from dispatcher.domain.reach import Tier
from dispatcher.domain.report import CampaignView
from dispatcher.domain.sender import Sender, SenderStatus
from dispatcher.engine.campaigns import Plan
from dispatcher.leash import Leash
from support.builders import MAPPING, Crowd, a_sender
from support.meta import OFFER, Meta
from support.processes import worker_processes
from support.street import served
from support.waiting import wait_until


class World:
    """Both ends: our house in `app`, Meta in `meta`."""

    def __init__(self, app: App, meta: Meta, folder: Path) -> None:
        self.app = app
        self.meta = meta
        self.folder = folder

    async def a_sender(
        self,
        name: str = "harbour",
        *,
        tier: str | int = "unlimited",
        rate: str = "1000/s",
        status: SenderStatus = SenderStatus.CONNECTED,
        **fields: Any,
    ) -> Sender:
        """A sender that the ledger and Meta know alike, with the account's templates read."""
        limit, speed = Tier.parse(tier), Rate.parse(rate)
        number_id = await self.meta.a_number(tier=limit.limit, rate_per_s=int(speed.per_s), status=status)
        at_meta = {"phone_number_id": number_id, "waba_id": self.meta.waba_id}
        added = await self.app.senders.add(
            a_sender(name, **{**at_meta, "tier": limit, "rate": speed, "status": status, **fields})
        )
        await self.app.senders.sync_templates(name)
        return added

    async def a_campaign(
        self,
        *,
        people: int | Crowd,
        senders: Sequence[str] = ("harbour",),
        name: str = "autumn",
        is_started: bool = True,
        **plan: Any,
    ) -> Campaign:
        """A campaign with its people, started unless said otherwise."""
        crowd = Crowd(people) if isinstance(people, int) else people
        order = Plan(name, str(OFFER["name"]), str(OFFER["language"]), senders, MAPPING, **plan)
        campaign, _ = await self.app.import_audience(order, crowd)
        return await self.app.campaigns.start(campaign.id) if is_started else campaign

    def workers(self, n: int = 1, role: str = "all") -> AbstractAsyncContextManager[Sequence[Leash]]:
        """Worker processes on this world's servers."""
        return worker_processes(self.app.settings, n, role, log=self.folder / "workers.log")

    @asynccontextmanager
    async def webhooks(self) -> AsyncIterator[None]:
        """Meta reports to us, as in `meta.WEBHOOKS`. This process takes it down; intake is up to the test."""
        async with served(self.app) as url:
            await self.meta.reports_to(url + webhooks.PATH)
            yield
            await self.meta.reports_nowhere()

    @asynccontextmanager
    async def intake(self) -> AsyncIterator[None]:
        """An intake worker, once it is at work."""
        async with self.workers(1, role="intake"):
            await self.app.inbox.add([b"{}"], within=timedelta(seconds=5))

            async def is_taken() -> bool:
                return not (await self.app.inbox.waiting()).bodies

            await wait_until(is_taken, description="intake at work")
            await self.app.database.execute("DELETE FROM quarantine")
            yield

    async def takes_in(self) -> None:
        """Have all that Meta has to report so far delivered, and taken in by this process."""
        await self.meta.reported()
        while await self.app.intake.drain():
            pass

    async def lane_of(self, campaign: Campaign, sender: Sender | None = None) -> LaneId:
        """The campaign's lane, for tests that run turns themselves."""
        wanted = sender.id if sender else campaign.senders[0]
        sql = "SELECT id FROM lanes WHERE campaign_id = $1 AND sender_id = $2"
        return LaneId(await self.app.database.fetchval(sql, campaign.id, wanted))

    async def counts(self, campaign: Campaign) -> Counts:
        """How many people are in which state."""
        return (await self.view(campaign)).counts

    async def view(self, campaign: Campaign) -> CampaignView:
        """The campaign as it stands."""
        return await self.app.campaigns.view(campaign.id)

    async def becomes(
        self, campaign: Campaign, state: CampaignState = CampaignState.COMPLETED, timeout: float = 45
    ) -> Counts:
        """Wait until the campaign is in a state."""

        async def is_there() -> bool:
            return (await self.app.campaigns.view(campaign.id)).campaign.state is state

        await wait_until(is_there, description=f"campaign {campaign.name} {state}", timeout=timeout)
        return await self.counts(campaign)

    async def accepts(self, campaign: Campaign, at_least: int, timeout: float = 30) -> None:
        """Wait until so many of a campaign's messages are accepted in the ledger."""

        async def enough() -> bool:
            return (await self.counts(campaign)).accepted >= at_least

        await wait_until(enough, description=f"{at_least} accepted", timeout=timeout)

    async def both_ends_agree(self, *campaigns: Campaign) -> None:
        """Ledger and record, person by person; nobody twice; the ledger's own arithmetic holds."""
        for campaign in campaigns:
            ours = {row["message_id"]: row for row in await self.export(campaign.id) if row["message_id"]}
            arrived = await self.meta.arrived(campaign.id)
            theirs = {each.token.message_id: each for each in arrived}
            assert len(arrived) == len(theirs), "a message arrived twice"
            assert len(arrived) == len({each.person for each in arrived}), "a person was messaged twice"
            for message_id, row in ours.items():
                there = theirs.pop(message_id, None)
                match row["state"]:
                    case MessageState.ACCEPTED:
                        assert there is not None, f"{row} never arrived"
                        assert (there.wamid, there.person) == (row["wamid"], row["phone"])
                        assert there.token == Token(self.instance, campaign.id, message_id, row["attempt"])
                    case MessageState.UNSURE:
                        pass
                    case _:
                        assert there is None, f"{row} arrived all the same"
            assert not theirs, f"arrived, and the ledger does not know: {theirs}"
        assert await self.app.campaigns.check() == []

    async def export(self, campaign_id: CampaignId) -> list[dict[str, Any]]:
        """Everybody of the audience as the export shows them."""
        return [dict(row) async for chunk in self.app.campaigns.export(campaign_id) for row in chunk]

    @property
    def instance(self) -> str:
        """The ledger's name in message tokens."""
        return self.app.jobs.queue.rpartition(":")[2]

"""The hallway: the only place that wires things together.

Everything a face or a worker needs hangs on one `App`, opened for settings whose servers are known.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import httpx
from arq.connections import ArqRedis
from redis.asyncio import Redis
from redis.exceptions import RedisError

from dispatcher.channel.callbacks import HttpCallbacks
from dispatcher.channel.client import CloudChannel
from dispatcher.channel.management import GraphManagement
from dispatcher.channel.payloads import TemplatePayloads
from dispatcher.channel.reply_payloads import FreeFormPayloads
from dispatcher.channel.transport import open_transport
from dispatcher.channel.webhooks import read_webhook
from dispatcher.clock import SystemClock
from dispatcher.domain.audience import Audience
from dispatcher.domain.campaign import Campaign, CampaignState
from dispatcher.domain.pacing import Policy
from dispatcher.domain.row_check import row_check
from dispatcher.engine.access import Access
from dispatcher.engine.archive import Archive
from dispatcher.engine.campaigns import Campaigns, Plan
from dispatcher.engine.deliveries import Deliveries
from dispatcher.engine.explain import Explain
from dispatcher.engine.fence import Fencing
from dispatcher.engine.intake import Intake
from dispatcher.engine.leases import Leases
from dispatcher.engine.people import People
from dispatcher.engine.posting import Posting
from dispatcher.engine.replies import Replies
from dispatcher.engine.reply_lane import ReplyLane
from dispatcher.engine.reply_tools import ReplyTools
from dispatcher.engine.senders import Senders
from dispatcher.engine.settling import Settling
from dispatcher.engine.subscriptions import Subscriptions
from dispatcher.engine.tools import LaneSettings, LaneTools
from dispatcher.engine.unsure import Unsure
from dispatcher.engine.unsure_replies import UnsureReplies
from dispatcher.engine.upkeep import Upkeep
from dispatcher.gateway import Gateway, gateway_of, open_gateway_client
from dispatcher.ledger.archive import LedgerArchive
from dispatcher.ledger.audience import ImportReport, Progress, fill
from dispatcher.ledger.audit import LedgerAudit
from dispatcher.ledger.campaigns import LedgerCampaigns
from dispatcher.ledger.conversations import LedgerConversations
from dispatcher.ledger.database import Database
from dispatcher.ledger.fence import LedgerFence
from dispatcher.ledger.inbox import LedgerInbox
from dispatcher.ledger.keys import LedgerKeys
from dispatcher.ledger.listings import LedgerListings
from dispatcher.ledger.memory import LedgerMemory
from dispatcher.ledger.replies import LedgerReplies
from dispatcher.ledger.reply_ends import LedgerReplyEnds
from dispatcher.ledger.reply_turns import LedgerReplyTurns
from dispatcher.ledger.senders import LedgerSenders
from dispatcher.ledger.suppressions import LedgerSuppressions
from dispatcher.ledger.turns import LedgerTurns
from dispatcher.ledger.unsure import LedgerUnsure
from dispatcher.limits.key_rates import RedisKeyRates
from dispatcher.limits.limits import RedisLimits
from dispatcher.orders import Orders, altogether
from dispatcher.outgoing import deliveries_of, open_callbacks, subscriptions_of
from dispatcher.queues import connecting
from dispatcher.queues.reply_wakes import ArqReplyJobs
from dispatcher.queues.wakes import ArqJobs
from dispatcher.queues.witness import RedisWitness
from dispatcher.settings import Settings
from dispatcher.telemetry import Events
from dispatcher.vault import Vault

REPLY_CONNECTIONS = 256
"""Connections to Meta that a process keeps for replies; some hundreds a second at usual latencies need fewer."""
REPLIES_OF_A_SENDER = 64
"""Replies of one sender that a process has in hand at once, so that one flood leaves connections to the others."""


@dataclass(frozen=True, slots=True)
class App:
    """An open house."""

    settings: Settings
    database: Database
    redis: ArqRedis
    jobs: ArqJobs
    events: Events
    campaigns: Campaigns
    senders: Senders
    explain: Explain
    fence: Fencing
    upkeep: Upkeep
    archive: Archive
    inbox: LedgerInbox
    intake: Intake
    conversations: LedgerConversations
    unsure: Unsure
    replies: Replies
    reply_jobs: ArqReplyJobs
    reply_lane: ReplyLane
    unsure_replies: UnsureReplies
    subscriptions: Subscriptions
    deliveries: Deliveries
    listings: LedgerListings
    gateway: Gateway
    access: Access
    vault: Vault
    lane_tools: LaneTools
    """What turns need; its `stopping` is set when this process is asked to end."""

    async def import_audience(
        self,
        plan: Plan,
        audience: Audience,
        *,
        phone_column: str | None = None,
        default_region: str | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> tuple[Campaign, ImportReport | None]:
        """Make a draft with all its people, or nothing. No report: the plan's idempotency key is known already.

        Raises what `Campaigns.create` and `ledger.audience.fill` raise; no draft is left then.
        """
        _, template, mapping = await self.campaigns.check_plan(plan, audience.columns)
        campaign, is_new = await self.campaigns.create(plan, audience.columns)
        if not is_new and campaign.state is CampaignState.DRAFT:
            # why: an import that was killed half-way leaves an empty draft behind; one with people is not discarded.
            await self.campaigns.discard(campaign.id)
            campaign, is_new = await self.campaigns.create(plan, audience.columns)
        if not is_new:
            return campaign, None
        try:
            report = await fill(
                self.database,
                campaign.id,
                audience,
                phone_column=phone_column,
                columns=campaign.columns,
                default_region=default_region or self.settings.default_region,
                check=row_check(template, mapping),
                progress=progress,
            )
        except BaseException:
            await self.campaigns.discard(campaign.id)
            raise
        return campaign, report

    def altogether(self) -> AbstractAsyncContextManager[Orders]:
        """Orders that are carried out at the end of the block, or not at all."""
        return altogether(
            self.database, self.jobs, self.lane_tools.clock, self.replies, self.gateway.standing
        )

    async def has_workers(self) -> bool:
        """Whether a worker process has given a sign of life within the last seconds; False if Redis is away."""
        return await self._is_alive(self.jobs.queue)

    async def has_reply_workers(self) -> bool:
        """The same of those that send replies."""
        return await self._is_alive(self.reply_jobs.queue)

    async def _is_alive(self, queue: str) -> bool:
        try:
            return bool(await self.redis.exists(f"{queue}:alive"))  # as the workers name it
        except (RedisError, OSError):
            return False


def policy_of(settings: Settings) -> Policy:
    """The operator's part of the rules."""
    return Policy(
        stricter=settings.stricter_statuses,
        slowed_share=settings.slowed_share,
        burst=timedelta(milliseconds=settings.burst_ms),
        reserve_share=settings.reserve_share,
        sends_us_marketing=settings.sends_us_marketing,
        late_after=timedelta(seconds=settings.late_after_s),
    )


@asynccontextmanager
async def open_app(settings: Settings, *, migrate: bool = True) -> AsyncIterator[App]:
    """Connect to everything, wire it, and close it again at the end.

    Needs both URLs; `servers.located` provides them. Raises LedgerUnavailable, LimitsUnavailable.
    migrate: bring the schema up to date first, unless someone else is trusted to have done so.
    """
    assert settings.database_url is not None
    assert settings.redis_url is not None
    # why a stack: when a later part is away, the earlier ones still have to be closed.
    async with AsyncExitStack() as opened:
        database = await Database.open(settings.database_url, connections=settings.ledger_connections)
        opened.push_async_callback(database.close)
        redis = await connecting.open_client(settings.redis_url, settings.limits_timeout_s)
        opened.push_async_callback(redis.aclose, close_connection_pool=True)
        # why a client of their own: the limits bound each call themselves, and a second timer around it costs.
        limits_redis = Redis.from_url(settings.redis_url, socket_connect_timeout=settings.limits_timeout_s)
        opened.push_async_callback(limits_redis.aclose)
        transport = open_transport(
            settings.transport,
            timeout=settings.post_timeout,
            connect_timeout=timedelta(seconds=settings.connect_timeout_s),
            max_connections=settings.in_flight,
            idle_timeout=timedelta(seconds=settings.idle_timeout_s),
        )
        opened.push_async_callback(transport.close)
        # why connections of their own: a campaign may have taken all others, for as long as Meta is slow.
        reply_transport = open_transport(
            settings.transport,
            timeout=settings.post_timeout,
            connect_timeout=timedelta(seconds=settings.connect_timeout_s),
            max_connections=min(settings.in_flight, REPLY_CONNECTIONS),
            idle_timeout=timedelta(seconds=settings.idle_timeout_s),
        )
        opened.push_async_callback(reply_transport.close)
        management_client = await opened.enter_async_context(
            httpx.AsyncClient(timeout=20, follow_redirects=False, trust_env=False)
        )
        gateway_client = await opened.enter_async_context(open_gateway_client())
        callbacks = await opened.enter_async_context(open_callbacks(settings))
        if migrate:
            await database.migrate()
        vault = Vault(settings)
        channels = (
            CloudChannel(transport, vault.read, **_graph(settings)),
            CloudChannel(reply_transport, vault.read, **_graph(settings)),
        )
        management = GraphManagement(management_client, vault.read, **_graph(settings))
        yield await _wire(
            settings, database, redis, limits_redis, channels, management, gateway_client, callbacks, vault
        )


def _graph(settings: Settings) -> dict[str, str]:
    return {"graph_url": settings.graph_url, "graph_version": settings.graph_version}


def redis_client(settings: Settings) -> ArqRedis:
    """A client for arq's queues; whoever makes one closes it."""
    assert settings.redis_url is not None
    return connecting.client(settings.redis_url, settings.limits_timeout_s)


async def redis_version(settings: Settings) -> str:
    """Which server answers at `redis_url`, such as "Valkey 9.1.0". Raises LimitsUnavailable."""
    assert settings.redis_url is not None
    return await connecting.version(settings.redis_url, settings.limits_timeout_s)


async def _wire(
    settings: Settings,
    database: Database,
    redis: ArqRedis,
    limits_redis: Redis,
    channels: tuple[CloudChannel, CloudChannel],
    management: GraphManagement,
    gateway_client: httpx.AsyncClient,
    callbacks: HttpCallbacks,
    vault: Vault,
) -> App:
    channel, reply_channel = channels
    clock, events, policy = SystemClock(), Events(), policy_of(settings)
    fence = LedgerFence(database)
    await fence.learn()
    instance = await database.instance()
    turns, campaign_book, sender_book = (
        LedgerTurns(database),
        LedgerCampaigns(database),
        LedgerSenders(database),
    )
    day = timedelta(seconds=settings.day_s + settings.reach_margin_s)
    timeout = timedelta(seconds=settings.limits_timeout_s)
    limits = RedisLimits(limits_redis, namespace=instance, day=day, timeout=timeout, clock=clock)
    jobs, witness = ArqJobs(redis, clock, namespace=instance), RedisWitness(redis, namespace=instance)
    campaigns = Campaigns(campaign_book, sender_book, jobs, clock)
    lane_tools = LaneTools(
        turns=turns,
        memory=LedgerMemory(database),
        campaigns=campaign_book,
        senders=sender_book,
        limits=limits,
        witness=witness,
        channel=channel,
        payloads=TemplatePayloads(),
        clock=clock,
        day=day,
        telemetry=events,
        policy=policy,
        settings=LaneSettings(
            slice=timedelta(seconds=settings.slice_s),
            lease=timedelta(seconds=settings.lease_s),
            claim_most=settings.claim_most,
            grant_most=settings.grant_most,
        ),
        posting=Posting(settings.in_flight, clock.monotonic),
        settling=Settling(turns, limits, events),
        leases=Leases(turns, clock, timedelta(seconds=settings.lease_s)),
        stopping=asyncio.Event(),
        owner=f"{socket.gethostname()}:{os.getpid()}",
    )
    inbox, suppressions = LedgerInbox(database), LedgerSuppressions(database)
    reply_jobs, free_form = ArqReplyJobs(redis, clock, namespace=instance), FreeFormPayloads()
    return App(
        settings=settings,
        database=database,
        redis=redis,
        jobs=jobs,
        events=events,
        campaigns=campaigns,
        senders=Senders(sender_book, suppressions, limits, jobs, management, policy),
        explain=Explain(campaigns, campaign_book, sender_book, limits, clock, policy),
        upkeep=Upkeep(turns, sender_book, limits, jobs, clock, events, policy, fence, witness),
        archive=Archive(LedgerArchive(database), clock, events, settings.keeping),
        inbox=inbox,
        intake=Intake(
            inbox,
            read_webhook,
            instance,
            limits,
            clock,
            events,
            policy,
            People(settings.opt_words, limits),
            suppressions,
        ),
        conversations=LedgerConversations(database),
        unsure=Unsure(
            LedgerUnsure(database),
            campaign_book,
            turns,
            jobs,
            events,
            timedelta(seconds=settings.unsure_grace_s),
        ),
        replies=Replies(
            LedgerReplies(database),
            sender_book,
            reply_channel,
            free_form,
            reply_jobs,
            clock,
            policy,
            settings.reply_unsure_policy,
        ),
        reply_jobs=reply_jobs,
        reply_lane=ReplyLane(
            ReplyTools(
                lane_tools,
                LedgerReplyTurns(database),
                reply_channel,
                free_form,
                reply_jobs,
                in_flight=min(settings.in_flight, REPLIES_OF_A_SENDER),
            )
        ),
        unsure_replies=UnsureReplies(
            LedgerReplyEnds(database), reply_jobs, events, timedelta(seconds=settings.reply_unsure_grace_s)
        ),
        subscriptions=subscriptions_of(database, callbacks, vault, instance),
        deliveries=deliveries_of(settings, database, callbacks, vault, lane_tools, events),
        listings=LedgerListings(database),
        gateway=gateway_of(settings, database, jobs, clock, policy, gateway_client, vault.read),
        access=Access(
            LedgerKeys(database),
            RedisKeyRates(limits_redis, namespace=instance, timeout=timeout),
            LedgerAudit(database),
            clock,
        ),
        vault=vault,
        fence=Fencing(fence, jobs, lane_tools),
        lane_tools=lane_tools,
    )

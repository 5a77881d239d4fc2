"""What the README, docs/api.md and docs/gateway.md show is run, as it stands there."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.builders import a_phone
from support.conversations import has_written
from support.street import served
from support.world import World

from benchmarks.fuzz import TEMPLATES
from dispatcher.domain.access import Scope
from dispatcher.domain.rate import Rate
from dispatcher.vault import new_key

ROOT = Path(__file__).parents[2]
CUSTOMERS = "def customers():\n    return [(f'+4915{110_000_000 + n}', f'Name {n}') for n in range(500)]\n"


def shown(page: str, language: str) -> list[str]:
    """The blocks of a page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
async def environment(monkeypatch: pytest.MonkeyPatch, world: World, tmp_path: Path):
    """A house whose account has the templates that the pages name; where it is, and a key for it."""
    monkeypatch.setenv("SEAL_KEY", new_key())
    for template in TEMPLATES:
        fields = ("name", "language", "category", "components")
        await world.meta.has_template({field: template[field] for field in fields})
    await has_written(world, await world.a_sender("harbour"), "+4915123456789")
    _, key = await world.app.access.create("pages", set(Scope), rate=Rate.parse("1000/s"))
    async with served(world.app) as url:
        yield {**os.environ, "DISPATCH_URL": url, "DISPATCH_KEY": key, "NO_PROXY": "*"}


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """What it wrote; it must succeed."""
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_the_client_of_the_readme_enqueues_a_campaign(
    environment: dict[str, str], world: World, tmp_path: Path
) -> None:
    [code] = shown("README.md", "python")
    assert len([line for line in code.splitlines() if line]) <= 10
    for _ in range(2):  # "whatever breaks in between, run it again"
        await asyncio.to_thread(run, [sys.executable, "-c", CUSTOMERS + code], tmp_path, environment)
    [view] = await world.app.campaigns.recent()
    assert (view.counts.audience, view.campaign.state) == (500, "running")


async def test_the_gateway_page_shows_a_client_of_meta_that_works(
    environment: dict[str, str], world: World, tmp_path: Path
) -> None:
    [code] = shown("docs/gateway.md", "python")
    harbour = await world.app.senders.named("harbour")
    told = {**environment, "PHONE_NUMBER_ID": harbour.phone_number_id}
    await asyncio.to_thread(run, [sys.executable, "-c", code], tmp_path, told)
    database = world.app.database
    assert await database.fetchval("SELECT params FROM messages") == ["Ann", "tomorrow"]
    assert await database.fetchval("SELECT content FROM replies") == {
        "type": "text",
        "text": {"preview_url": False, "body": "Is there anything else?"},
    }


async def test_the_api_page_works_from_top_to_bottom(
    environment: dict[str, str], world: World, tmp_path: Path
) -> None:
    commands = "\n".join(shown("docs/api.md", "sh"))
    await asyncio.to_thread(run, ["bash", "-euo", "pipefail", "-c", commands], tmp_path, environment)
    [view] = await world.app.campaigns.recent()
    assert (view.counts.audience, view.campaign.priority, view.campaign.state) == (3, 10, "running")
    exported = (tmp_path / "autumn.csv").read_text()
    assert exported.count("rejected") == 2
    assert "+61491570156" in exported
    single = await world.app.database.fetchval("SELECT person FROM messages WHERE campaign_id = 2")
    assert single == "+4915123456789"
    [code] = shown("docs/api.md", "python")
    await asyncio.to_thread(run, [sys.executable, "-c", code], tmp_path, environment)
    assert await world.app.database.fetchval("SELECT count(*) FROM campaigns") == 3
    assert a_phone(0) not in exported
    told = [(view.state, view.key) for view in await world.app.replies.recent(10)]
    assert told == [("pending", "shift-12-1"), ("cancelled", None)]

"""The Python client of the HTTP API.

A call is a value, and a client makes it; both clients make all calls:

    from dispatcher.client import Client, campaigns

    with Client("http://127.0.0.1:8080", key) as client:
        campaign = client.do(campaigns.order("Autumn", template="autumn_offer", language="en_US", senders=["harbour"]))
        client.do(campaigns.add_people(campaign["id"], people))
        client.do(campaigns.start(campaign["id"]))
        for row in client.each(campaigns.export(campaign["id"])):
            print(row["phone"], row["state"])

It imports nothing of the house but itself, and needs httpx and tenacity.
"""

from dispatcher.client import campaigns, messages, replies, senders, subscriptions
from dispatcher.client.clients import AsyncClient, Client
from dispatcher.client.errors import DispatchError, Refused, Unreachable

__all__ = [
    "AsyncClient",
    "Client",
    "DispatchError",
    "Refused",
    "Unreachable",
    "campaigns",
    "messages",
    "replies",
    "senders",
    "subscriptions",
]

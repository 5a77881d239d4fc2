"""The client's types say what the API says: the same fields, the same words."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import pytest
from pydantic import BaseModel

from dispatcher.api.schemas import HoldOut
from dispatcher.api.v1 import (
    campaign_models,
    conversations,
    message_models,
    people_models,
    reply_models,
    sender_models,
    streams,
    subscription_models,
    suppressions,
)
from dispatcher.api.v1.operations import DoneOut
from dispatcher.client import event_shapes, reply_shapes, shapes
from dispatcher.domain.campaign import CampaignState, UnsurePolicy
from dispatcher.domain.message import MessageState

PAIRS: list[tuple[Any, type[BaseModel]]] = [
    (shapes.Hold, HoldOut),
    (shapes.Counts, campaign_models.CountsOut),
    (shapes.Campaign, campaign_models.CampaignOut),
    (shapes.Waiting, campaign_models.WaitingOut),
    (shapes.Lane, campaign_models.LaneOut),
    (shapes.CampaignDetail, campaign_models.CampaignDetail),
    (shapes.Stopped, campaign_models.StoppedOut),
    (shapes.LaneExplanation, campaign_models.LaneExplanationOut),
    (shapes.Explanation, campaign_models.ExplanationOut),
    (shapes.Upload, people_models.UploadOut),
    (shapes.RejectedRow, people_models.RejectedOut),
    (shapes.Message, message_models.MessageOut),
    (shapes.MessageDetail, message_models.MessageDetail),
    (shapes.ExplainedMessage, message_models.ExplainedMessage),
    (shapes.Ordered, message_models.SingleAccepted),
    (shapes.Single, message_models.SingleOut),
    (shapes.Sender, sender_models.SenderOut),
    (shapes.Senders, sender_models.SenderList),
    (shapes.Suppressed, suppressions.SuppressedOut),
    (shapes.Changed, suppressions.ChangedOut),
    (shapes.HistoryEntry, suppressions.HistoryOut),
    (shapes.History, suppressions.HistoryList),
    (event_shapes.Delivery, subscription_models.DeliveryOut),
    (event_shapes.Subscription, subscription_models.SubscriptionOut),
    (event_shapes.CreatedSubscription, subscription_models.SubscriptionCreated),
    (event_shapes.Secret, subscription_models.SecretOut),
    (event_shapes.Ping, subscription_models.PingOut),
    (event_shapes.DeadLetter, subscription_models.DeadOut),
    (event_shapes.Done, DoneOut),
    (reply_shapes.QueuedReply, reply_models.QueuedOut),
    (reply_shapes.Reply, reply_models.ReplyOut),
    (reply_shapes.ReplyDetail, reply_models.ReplyDetail),
    (reply_shapes.ExplainedReply, reply_models.ExplainedReply),
    (reply_shapes.Marked, reply_models.MarkedOut),
    (reply_shapes.Window, conversations.WindowOut),
    (reply_shapes.Conversation, conversations.ConversationOut),
    (reply_shapes.Spoken, conversations.SpokenOut),
    (reply_shapes.Linked, conversations.LinkedOut),
    (reply_shapes.Transcript, conversations.TranscriptOut),
]


@pytest.mark.parametrize(("shape", "model"), PAIRS, ids=lambda each: each.__name__)
def test_a_shape_has_the_fields_of_the_answer(shape: Any, model: type[BaseModel]) -> None:
    assert set(get_type_hints(shape)) == set(model.model_fields)


def test_every_shape_is_compared() -> None:
    known = {
        each
        for module in (shapes, reply_shapes, event_shapes)
        for each in vars(module).values()
        if isinstance(each, type) and hasattr(each, "__total__")
    }
    assert known - {shape for shape, _ in PAIRS} == {shapes.ExportedRow}
    assert set(get_type_hints(shapes.ExportedRow)) == set(streams.COLUMNS)


def test_states_and_policies_have_the_same_words() -> None:
    for words, vocabulary in (
        (shapes.CampaignState, CampaignState),
        (shapes.MessageState, MessageState),
        (shapes.UnsurePolicy, UnsurePolicy),
    ):
        assert set(get_args(words)) == {member.value for member in vocabulary}

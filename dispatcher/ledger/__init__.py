"""The ledger: PostgreSQL, the truth about campaigns, people, messages and senders.

The only place that knows SQL. Each module holds one part of the story and speaks in domain types.
"""

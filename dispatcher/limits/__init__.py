"""The shared limits in Redis or Valkey: exact, disposable, rebuilt from the ledger."""

from dispatcher.limits.limits import RedisLimits

__all__ = ["RedisLimits"]

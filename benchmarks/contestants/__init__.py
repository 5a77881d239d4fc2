"""Who competes in `python -m benchmarks dispatch`, all posting the same messages to the same sink.

`product.py` is the dispatcher as it stands. The others are written as their libraries' documentation suggests, each a
process of its own, started by `entrants.py`: a bare loop of the HTTP client (`bare.py`), one job per message with arq
(`arq_jobs.py`) and with Celery (`celery_tasks.py`), and a generator that only shows what the sink can take (`raw.py`).
"""

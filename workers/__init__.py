"""Worker processes: what is truly about arq, and no rules.

`python -m workers lanes|replies|intake|events|upkeep|all [--processes N]` runs them; `dispatch worker` and `dispatch up` start that.
"""

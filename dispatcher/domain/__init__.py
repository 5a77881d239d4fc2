"""The rules of dispatching: standard library only, no I/O, no clock.

Everything else in the house may import from here; nothing here imports from anywhere else in it.
"""

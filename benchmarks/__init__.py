"""Measurements that anybody can repeat: `python -m benchmarks NAME [--json]`; see README.md beside this file."""

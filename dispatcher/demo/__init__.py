"""The demo's audience: about two thousand invented people, with the faults that real files have."""

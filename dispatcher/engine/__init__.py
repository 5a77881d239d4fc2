"""The engine: what is done with campaigns, senders and messages, in terms of the ports alone."""

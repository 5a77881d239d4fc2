"""What the dispatcher offers over HTTP; `asgi.py` puts it together."""

"""The console under `/_sandbox`: what an operator of the sandbox reads and changes.

Meta has no such thing; tests, the demo and rehearsals do. Input is validated by `settings` and `inputs`, and whatever
is wrong with it comes back as JSON, `{"error": …}`, with the status 404 (no such entry) or 422 (not as described).

record    what was accepted and violated    weather   how the sandbox behaves, now and by schedule
world     what there is                     webhooks  what it reports, and to whom
io        JSON in and out
"""

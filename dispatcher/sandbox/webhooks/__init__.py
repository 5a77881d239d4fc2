"""What Meta reports by webhook, and how it gets there.

updates   what can be reported          receipts        what happens to an accepted message
body      the envelope around it        account_events  what changes of numbers and templates are told
callback  where to, and the signature   line            one connection there
deliveries  when, how often, how badly  tally           what became of it
"""

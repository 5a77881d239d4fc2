-- What is sent is touched twice, and each touch writes an entry into every index of messages: fewer indexes, less work.

-- why BRIN: who was reached within the last day is asked for when Redis has lost its memory, and then for whole blocks of
-- messages, which were posted one after the other.
DROP INDEX messages_posted;
CREATE INDEX messages_posted ON messages USING brin (posted_at) WITH (pages_per_range = 32, autosummarize = on);

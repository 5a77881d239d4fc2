-- Kept for conversations and replies.
SELECT;

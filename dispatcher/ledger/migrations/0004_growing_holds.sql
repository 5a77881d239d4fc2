-- A hold that keeps coming back lasts longer each time.

ALTER TABLE holds ADD COLUMN times smallint NOT NULL DEFAULT 1;
COMMENT ON COLUMN holds.times IS 'how often in a row it came back within a day of its end, this one included';

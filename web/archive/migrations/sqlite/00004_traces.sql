-- +goose Up
-- What people attached to reports: the packets of a console.
CREATE TABLE traces (
    run_id      TEXT PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    attached_at INTEGER NOT NULL,
    data        TEXT NOT NULL            -- in no language, masked; its length is in the run's bytes
) STRICT;

-- A browser lists what it made.
CREATE INDEX runs_owner ON runs (owner_hash, created_at) WHERE owner_hash IS NOT NULL;

-- +goose Down
DROP INDEX runs_owner;
DROP TABLE traces;

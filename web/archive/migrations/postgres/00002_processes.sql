-- +goose Up
-- Who works with this database.
CREATE TABLE processes (
    id      TEXT PRIMARY KEY,
    seen_at BIGINT NOT NULL                 -- when it last said that it lives, by the database's clock
);

-- What counts towards a limit and is no run: runs count by themselves.
CREATE TABLE places (
    id         TEXT PRIMARY KEY,
    process_id TEXT NOT NULL REFERENCES processes (id) ON DELETE CASCADE,
    kind       TEXT NOT NULL,               -- console
    client     TEXT NOT NULL                -- address or network
);

-- What one process asks of another.
CREATE TABLE orders (
    id         TEXT PRIMARY KEY,
    process_id TEXT NOT NULL,               -- who is asked
    made_at    BIGINT NOT NULL,
    claimed    INTEGER NOT NULL DEFAULT 0,  -- 1: it is being done
    data       TEXT NOT NULL,
    answer     TEXT                         -- NULL: none yet
);

ALTER TABLE runs ADD COLUMN process_id TEXT NOT NULL DEFAULT ''; -- who carries it
ALTER TABLE runs ADD COLUMN client TEXT NOT NULL DEFAULT '';     -- address or network, while running
ALTER TABLE runs ADD COLUMN wanted TEXT NOT NULL DEFAULT '';     -- cancel
ALTER TABLE runs ADD COLUMN held_until BIGINT NOT NULL DEFAULT 0; -- until when its process holds its secrets, in memory

-- +goose Down
ALTER TABLE runs DROP COLUMN held_until;
ALTER TABLE runs DROP COLUMN wanted;
ALTER TABLE runs DROP COLUMN client;
ALTER TABLE runs DROP COLUMN process_id;
DROP TABLE orders;
DROP TABLE places;
DROP TABLE processes;

-- +goose Up
CREATE TABLE runs (
    id          TEXT PRIMARY KEY,
    state       TEXT NOT NULL,              -- running, finished, canceled, interrupted
    verdict     TEXT NOT NULL DEFAULT '',
    root_cause  TEXT NOT NULL DEFAULT '',   -- code of the catalogue
    created_at  BIGINT NOT NULL,            -- milliseconds since 1970, UTC, as all times
    finished_at BIGINT,
    expires_at  BIGINT NOT NULL,
    token_hash  BYTEA NOT NULL,             -- SHA-256 of the delete token
    owner_hash  BYTEA,                      -- SHA-256 of the owner cookie; NULL: made by a program
    last_seq    INTEGER NOT NULL DEFAULT 0, -- number of the newest event
    report      TEXT NOT NULL               -- mqttdoctor.report/1 in no language; the header while running
);

CREATE INDEX runs_expires_at ON runs (expires_at);
CREATE INDEX runs_unfinished ON runs (state) WHERE state = 'running';

-- Text and not JSONB: it is only ever read whole, and JSONB takes no \u0000, which a broker's answer may hold.
CREATE TABLE events (
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq    INTEGER NOT NULL,
    data   TEXT NOT NULL,                   -- an event; run.finished without its report, which is in runs
    PRIMARY KEY (run_id, seq)
);

-- +goose Down
DROP TABLE events;
DROP TABLE runs;

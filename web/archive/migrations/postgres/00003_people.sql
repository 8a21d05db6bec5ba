-- +goose Up
ALTER TABLE runs ADD COLUMN person TEXT NOT NULL DEFAULT '';  -- who made it, where people sign in: what the provider knows him by
ALTER TABLE runs ADD COLUMN person_name TEXT NOT NULL DEFAULT ''; -- and what people know him by
ALTER TABLE runs ADD COLUMN target TEXT NOT NULL DEFAULT '';  -- its URL, without user information
ALTER TABLE runs ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0; -- of report and events
UPDATE runs SET target = COALESCE(report::json -> 'target' ->> 'url', ''),
    bytes = octet_length(report) + COALESCE((SELECT sum(octet_length(e.data)) FROM events e WHERE e.run_id = runs.id), 0);

CREATE INDEX runs_created_at ON runs (created_at, id, bytes, state); -- all that adding up and listing in order need, without the reports
CREATE INDEX runs_person ON runs (person, created_at) WHERE person <> '';

-- Who is signed in.
CREATE TABLE sessions (
    hash       BYTEA PRIMARY KEY,             -- SHA-256 of the cookie
    person     TEXT NOT NULL,                -- what the provider knows him by, for ever
    name       TEXT NOT NULL,                -- what people know him by
    admin      BIGINT NOT NULL,             -- 1: an administrator
    stamp      TEXT NOT NULL,                -- what of the provider's must not have changed since
    expires_at BIGINT NOT NULL
);

CREATE INDEX sessions_expires_at ON sessions (expires_at);

-- Who did what, for administrators. It outlives the runs.
CREATE TABLE audit (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      BIGINT NOT NULL,
    person  TEXT NOT NULL,
    name    TEXT NOT NULL,                   -- what people know him by
    client  TEXT NOT NULL,                   -- the person's address
    act     TEXT NOT NULL,
    run     TEXT NOT NULL,                   -- the beginning of its id, which is no link
    target  TEXT NOT NULL,                   -- scheme, host and port
    note    TEXT NOT NULL
);

CREATE INDEX audit_at ON audit (at);

-- What administrators have set, for all processes.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- +goose Down
DROP TABLE settings;
DROP TABLE audit;
DROP TABLE sessions;
DROP INDEX runs_person;
DROP INDEX runs_created_at;
ALTER TABLE runs DROP COLUMN bytes;
ALTER TABLE runs DROP COLUMN target;
ALTER TABLE runs DROP COLUMN person_name;
ALTER TABLE runs DROP COLUMN person;

-- +goose Up
-- What a run's link shows, and whom it has shown it to.
ALTER TABLE runs ADD COLUMN hide TEXT NOT NULL DEFAULT 'user,payloads'; -- what those who only have the link do not see
ALTER TABLE runs ADD COLUMN views INTEGER NOT NULL DEFAULT 0;           -- how often others than the owner opened it
ALTER TABLE runs ADD COLUMN viewed_at INTEGER NOT NULL DEFAULT 0;        -- when last
-- A run that two people work on: one asked for help or gave it, and the other one knows the secrets.
ALTER TABLE runs ADD COLUMN helper_hash BLOB;                           -- SHA-256 of the helper's owner cookie
ALTER TABLE runs ADD COLUMN request TEXT NOT NULL DEFAULT '';           -- the request that it was made for

CREATE INDEX runs_request ON runs (request, created_at) WHERE request <> '';

-- What a helper asks somebody to run. Who has the link can do so.
CREATE TABLE requests (
    id          TEXT PRIMARY KEY,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    helper_hash BLOB NOT NULL,     -- SHA-256 of the helper's owner cookie
    helper      TEXT NOT NULL,     -- who he is, where people sign in
    data        TEXT NOT NULL      -- what he filled in, without any secret
) STRICT;

CREATE INDEX requests_expires_at ON requests (expires_at);

-- +goose Down
DROP TABLE requests;
DROP INDEX runs_request;
ALTER TABLE runs DROP COLUMN request;
ALTER TABLE runs DROP COLUMN helper_hash;
ALTER TABLE runs DROP COLUMN viewed_at;
ALTER TABLE runs DROP COLUMN views;
ALTER TABLE runs DROP COLUMN hide;

-- +goose Up
-- What the history of a target shows of each run, so that no report need be read for it.
ALTER TABLE runs ADD COLUMN connect_us INTEGER NOT NULL DEFAULT 0;   -- from dialling to the CONNACK that accepts, microseconds; 0: not measured
ALTER TABLE runs ADD COLUMN imported INTEGER NOT NULL DEFAULT 0;     -- 1: made elsewhere, and came as a file
ALTER TABLE runs ADD COLUMN preview_host INTEGER NOT NULL DEFAULT 0; -- 1: previews of the link may name the host
UPDATE runs SET imported = 1 WHERE json_extract(report, '$.imported_at') IS NOT NULL;

-- The runs of one target by one owner, the newest first. A part of the address: an entry of an index has a greatest length.
CREATE INDEX runs_person_target ON runs (person, substr(target, 1, 200), created_at) WHERE person <> '';
CREATE INDEX runs_owner_target ON runs (owner_hash, substr(target, 1, 200), created_at) WHERE owner_hash IS NOT NULL;

-- +goose Down
DROP INDEX runs_owner_target;
DROP INDEX runs_person_target;
ALTER TABLE runs DROP COLUMN preview_host;
ALTER TABLE runs DROP COLUMN imported;
ALTER TABLE runs DROP COLUMN connect_us;

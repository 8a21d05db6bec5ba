-- +goose Up
-- A program that asks has no cookie: it is known again by a token.
ALTER TABLE requests ADD COLUMN token_hash BLOB;
ALTER TABLE requests ADD COLUMN opened_at INTEGER NOT NULL DEFAULT 0; -- when somebody else than the helper opened the link last; 0: nobody has
ALTER TABLE requests ADD COLUMN wish TEXT NOT NULL DEFAULT '';       -- what the helper wants repeated, where only who runs it has the secrets

CREATE INDEX requests_helper_hash ON requests (helper_hash, created_at);

-- +goose Down
DROP INDEX requests_helper_hash;
ALTER TABLE requests DROP COLUMN wish;
ALTER TABLE requests DROP COLUMN opened_at;
ALTER TABLE requests DROP COLUMN token_hash;

package web

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"strings"
)

// tagLength is how much of a run's id is known to the broker: it stands in topics and client ids, where whoever reads the
// broker's log or subscribes to "#" sees it. It is enough to find the run that belongs to a line of the log, and no link.
const tagLength = 8

// newID makes a run's id: a tag, and 130 random bits that leave this server in the link alone.
func newID() string { return strings.ToLower(rand.Text()[:tagLength] + rand.Text()) }

func tagOf(id string) string { return id[:min(tagLength, len(id))] }

// newToken makes a delete token of 130 random bits.
func newToken() string { return rand.Text() }

// hashOf is what is kept of a token. The values are random and long: a plain hash cannot be tried out.
func hashOf(token string) []byte {
	if token == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// matches compares a token with a kept hash, in a time that tells nothing.
func matches(token string, hash []byte) bool {
	return token != "" && len(hash) > 0 && subtle.ConstantTimeCompare(hashOf(token), hash) == 1
}

package signin

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// users are those of a password file. It is read again when it changes, so that nobody must restart a server to let somebody
// in or out.
type users struct {
	path string

	mu     sync.Mutex
	hashes map[string]string // by name
	size   int64
	mtime  time.Time
}

// maxUsersFile bounds the file: 50,000 people.
const maxUsersFile = 4 << 20

// Costs of bcrypt: below the first it is no protection, above the second a password takes seconds.
const (
	minCost = 5
	maxCost = 15
)

func openUsers(path string) (*users, error) {
	u := &users{path: path}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	u.hashes, err = readUsers(path)
	u.size, u.mtime = info.Size(), info.ModTime()
	return u, err
}

// readUsers reads a file of lines name:hash. Errors name the line, and never what stands there.
func readUsers(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	hashes := map[string]string{}
	lines := bufio.NewScanner(io.LimitReader(f, maxUsersFile))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if n == 1 {
			line = strings.TrimPrefix(line, "\ufeff") // some editors begin a file with it
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, hash, found := strings.Cut(line, ":")
		cost, err := bcrypt.Cost([]byte(hash))
		switch {
		case !found || name == "" || name != plain(name):
			return nil, fmt.Errorf("line %d is not name:hash", n)
		case err != nil || len(hash) != 60:
			return nil, fmt.Errorf("line %d has no bcrypt hash: htpasswd writes one with -B", n)
		case cost < minCost || cost > maxCost:
			return nil, fmt.Errorf("line %d has bcrypt cost %d: it takes one from %d to %d", n, cost, minCost, maxCost)
		case hashes[name] != "":
			return nil, fmt.Errorf("line %d has a name that an earlier line has", n)
		}
		hashes[name] = hash
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(hashes) == 0 {
		return nil, errors.New("nobody stands in it")
	}
	return hashes, nil
}

// hash is that of a name; empty: not in the file.
func (u *users) hash(name string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.refreshLocked()
	return u.hashes[name]
}

// refreshLocked reads a changed file again. One that cannot be read, half written perhaps, changes nothing; the next look
// tries again.
func (u *users) refreshLocked() {
	info, err := os.Stat(u.path)
	if err != nil || info.Size() == u.size && info.ModTime().Equal(u.mtime) {
		return
	}
	if hashes, err := readUsers(u.path); err == nil {
		u.hashes, u.size, u.mtime = hashes, info.Size(), info.ModTime()
	}
}

// stamp marks a name's password without telling anything of it; empty: not in the file.
func (u *users) stamp(name string) string {
	hash := u.hash(name)
	if hash == "" {
		return "-" // no session has it
	}
	sum := sha256.Sum256([]byte(hash))
	return hex.EncodeToString(sum[:8])
}

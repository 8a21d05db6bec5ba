package signin

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"mqttdoctor/diag"
	"mqttdoctor/handlers"
)

// Password implements [handlers.SignIn].
func (d *Desk) Password(w http.ResponseWriter, r *http.Request, name string, password diag.Secret) error {
	p, err := d.check(r, name, password)
	if err != nil {
		return err
	}
	return d.begin(w, r, p)
}

// fromHeader is who a program says it is with each request (RFC 7617). The last few answers are remembered: a hash is made to
// take long.
func (d *Desk) fromHeader(r *http.Request, name string, password diag.Secret) (handlers.Person, error) {
	hash := d.users.hash(name)
	if hash != "" && d.checked.knows(name, password, hash, d.Now()) {
		if p, let := d.person(identity{id: name}); let {
			return p, nil
		}
		return handlers.Person{}, handlers.ErrNotLetIn
	}
	p, err := d.check(r, name, password)
	if err == nil {
		d.checked.learn(name, password, hash, d.Now())
	}
	return p, err
}

// check finds out whether somebody knows the password. It takes as long for a name that is not in the file.
func (d *Desk) check(r *http.Request, name string, password diag.Secret) (handlers.Person, error) {
	client := d.Addr(r)
	if wait := d.tries.wait(client, d.Now()); wait > 0 {
		return handlers.Person{}, &handlers.TooManyTries{RetryAfter: wait}
	}
	hash := d.users.hash(name)
	right, err := compare(r.Context(), hash, password)
	if err != nil {
		return handlers.Person{}, err
	}
	if !right {
		d.tries.wrong(client, d.Now())
		who := handlers.Person{}
		if hash != "" { // what is typed into the field of the name by mistake may be a password
			who = handlers.Person{ID: name, Name: name}
		}
		d.Noted(r.Context(), Act{Kind: ActRefused, Person: who, Client: client})
		return handlers.Person{}, handlers.ErrWrongPassword
	}
	p, let := d.person(identity{id: name})
	if !let {
		d.Noted(r.Context(), Act{Kind: ActRefused, Person: p, Client: client})
		return handlers.Person{}, handlers.ErrNotLetIn
	}
	return p, nil
}

// nobody's password takes as long to be wrong as that of somebody, at the cost that htpasswd -B takes when it is told -C 10.
var nobody = sync.OnceValue(func() []byte {
	hash, _ := bcrypt.GenerateFromPassword([]byte(rand.Text()), bcrypt.DefaultCost)
	return hash
})

// comparing bounds how many passwords are compared at once: each takes a processor for a while, and runs need it too.
var comparing = make(chan struct{}, 2)

func compare(ctx context.Context, hash string, password diag.Secret) (bool, error) {
	select {
	case comparing <- struct{}{}:
		defer func() { <-comparing }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if hash == "" {
		_ = bcrypt.CompareHashAndPassword(nobody(), []byte(password.Reveal()))
		return false, nil
	}
	return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password.Reveal())) == nil, nil
}

// checked remembers for a minute which passwords were right, under a key that no other process has. The zero value is ready.
type checked struct {
	mu    sync.Mutex
	key   []byte
	until map[[sha256.Size]byte]time.Time
}

const (
	checkedFor = time.Minute
	checkedMax = 1000
)

func (c *checked) markLocked(name string, password diag.Secret, hash string) (mark [sha256.Size]byte) {
	if c.key == nil {
		c.key = []byte(rand.Text())
	}
	m := hmac.New(sha256.New, c.key)
	for _, part := range []string{name, hash, password.Reveal()} { // no name has the byte, and a hash has one length
		m.Write([]byte(part))
		m.Write([]byte{0})
	}
	m.Sum(mark[:0])
	return mark
}

func (c *checked) knows(name string, password diag.Secret, hash string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.until[c.markLocked(name, password, hash)].After(now)
}

func (c *checked) learn(name string, password diag.Secret, hash string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until == nil || len(c.until) >= checkedMax {
		c.until = map[[sha256.Size]byte]time.Time{}
	}
	c.until[c.markLocked(name, password, hash)] = now.Add(checkedFor)
}

// Package signin knows who sends a request, where a server is set up so that people sign in: by name and password out of a file
// (Basic), as the reverse proxy before the server says (Proxy), or through an OpenID Connect provider (OIDC).
//
// A session is a random value in a cookie that no script and no other host can read or set (the prefix __Host-), made anew at
// each sign-in, so that nobody can slip one to somebody else. The archive keeps only its hash; each process of several at one
// database knows it, and ending it ends it everywhere. What a page of another site sends is refused before it gets here.
package signin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
)

// The methods.
const (
	None  = "none"
	Basic = "basic"
	Proxy = "proxy"
	OIDC  = "oidc"
)

// Config is how people sign in.
type Config struct {
	Method string // one of the constants above
	// Admins are the persons who are administrators, and Allow those who are let in (empty: all whom the provider knows):
	// ids, verified e-mail addresses, @domains of such, group:names.
	Admins, Allow []string
	// Life is how long a session lasts.
	Life time.Duration

	File string // of Basic: lines of name:hash as htpasswd -B writes them

	// Of Proxy: the header with the person, and those with the name that people know him by and with his groups, by commas;
	// empty: none. LeaveURL is where signing out leads; empty: nobody signs out.
	Header, NameHeader, GroupsHeader string
	LeaveURL                         string

	// Of OIDC.
	Issuer       string
	ClientID     string
	ClientSecret diag.Secret // empty: a public client
	Scopes       []string    // beside openid
	Title        string      // what people call the provider; empty: its host
}

// DefaultConfig is that of a server where nobody signs in.
func DefaultConfig() Config {
	return Config{Method: None, Life: 12 * time.Hour, Header: "X-Forwarded-User", Scopes: []string{"profile", "email"}}
}

// Deps is what the server knows.
type Deps struct {
	Sessions archive.People
	Addr     func(*http.Request) netip.Addr // of the client
	Secure   func(*http.Request) bool       // whether the browser speaks HTTPS
	Trusted  func(netip.Addr) bool          // whether a peer is a trusted proxy
	BaseURL  func(*http.Request) string     // under which people reach the server, without a slash at the end
	Noted    func(context.Context, Act)     // nil: nobody wants to know
	Log      *slog.Logger                   // nil: none
	Now      func() time.Time               // nil: the system's clock
}

// Act is something that happened, for the audit log.
type Act struct {
	Kind   string // ActIn, ActRefused or ActOut
	Person handlers.Person
	Client netip.Addr
}

// Kinds of Act.
const (
	ActIn      = "sign_in"
	ActRefused = "sign_in_refused"
	ActOut     = "sign_out"
)

// Desk is where people sign in. It is safe for concurrent use. It implements [handlers.SignIn].
type Desk struct {
	Config
	Deps
	users    *users    // of Basic
	provider *provider // of OIDC
	tries    tries
	checked  checked
}

var _ handlers.SignIn = (*Desk)(nil)

// New makes a desk. Errors are for the administrator, and name the flag.
func New(c Config, d Deps) (*Desk, error) {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Noted == nil {
		d.Noted = func(context.Context, Act) {}
	}
	desk := &Desk{Config: c, Deps: d}
	switch c.Method {
	case Basic:
		users, err := openUsers(c.File)
		if err != nil {
			return nil, fmt.Errorf("--password-file: %w", err)
		}
		desk.users = users
	case OIDC:
		desk.provider = &provider{}
	}
	return desk, nil
}

// Check finds what is wrong with a configuration, without looking at files or asking anybody. Errors name the flag.
func (c Config) Check() error {
	switch c.Method {
	case None:
		if len(c.Admins) > 0 || len(c.Allow) > 0 {
			return errors.New("--admins and --allow-people: nobody is known without --sign-in")
		}
		return nil
	case Basic:
		if c.File == "" {
			return errors.New("--password-file: --sign-in basic needs one, as htpasswd -B writes it")
		}
	case Proxy:
		for flag, header := range map[string]string{"--sign-in-header": c.Header, "--sign-in-name-header": c.NameHeader, "--sign-in-groups-header": c.GroupsHeader} {
			if header != "" && strings.ContainsFunc(header, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }) {
				return fmt.Errorf("%s: %q is no name of a header", flag, header)
			}
		}
		if c.Header == "" {
			return errors.New("--sign-in-header: --sign-in proxy needs the name of the header that holds the person")
		}
		if c.LeaveURL != "" && !isWebURL(c.LeaveURL) && !strings.HasPrefix(c.LeaveURL, "/") {
			return errors.New("--sign-out-url: an address such as https://login.example.com/logout, or a path such as /oauth2/sign_out")
		}
	case OIDC:
		if !isWebURL(c.Issuer) {
			return errors.New("--oidc-issuer: --sign-in oidc needs the address of the provider, such as https://login.example.com")
		}
		if c.ClientID == "" {
			return errors.New("--oidc-client-id: --sign-in oidc needs the id under which the provider knows this server")
		}
	default:
		return fmt.Errorf("--sign-in: %q is none of none, basic, proxy, oidc", c.Method)
	}
	if c.Life < time.Minute || c.Life > 400*24*time.Hour {
		return errors.New("--session-life: from a minute to 400 days")
	}
	for _, entry := range append(slices.Clone(c.Admins), c.Allow...) {
		if entry == "@" || entry == groupPrefix {
			return fmt.Errorf("--admins or --allow-people: %q names nobody", entry)
		}
	}
	return nil
}

// Way implements [handlers.SignIn].
func (d *Desk) Way() handlers.SignInWay {
	switch d.Method {
	case Basic:
		return handlers.SignInForm
	case OIDC:
		return handlers.SignInProvider
	}
	return handlers.SignInProxy
}

// Recognise tells the handlers who sent each request. Where that cannot be found out, as without the archive, fail answers.
func (d *Desk) Recognise(fail func(http.ResponseWriter, *http.Request, error)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, err := d.who(r)
			if err != nil {
				fail(w, r, err)
				return
			}
			if p.SignedIn() {
				r = r.WithContext(handlers.WithPerson(r.Context(), p))
			}
			next.ServeHTTP(w, r)
		})
	}
}

// who sent a request. The zero Person: nobody who is signed in.
func (d *Desk) who(r *http.Request) (handlers.Person, error) {
	switch d.Method {
	case Proxy:
		return d.fromProxy(r), nil
	case Basic:
		if name, password, ok := r.BasicAuth(); ok {
			return d.fromHeader(r, name, diag.NewSecret(password))
		}
	}
	return d.fromSession(r)
}

// groupPrefix begins an entry of Admins or Allow that names a group.
const groupPrefix = "group:"

// identity is what a provider says of somebody.
type identity struct {
	id     string
	name   string
	email  string // verified; empty: none
	groups []string
}

// listed tells whether somebody is on a list.
func (i identity) listed(list []string) bool {
	_, domain, _ := strings.Cut(i.email, "@")
	return slices.ContainsFunc(list, func(entry string) bool {
		switch group, isGroup := strings.CutPrefix(entry, groupPrefix); {
		case isGroup:
			return slices.Contains(i.groups, group)
		case strings.HasPrefix(entry, "@"):
			return domain != "" && strings.EqualFold(entry[1:], domain)
		case entry == i.id:
			return true
		}
		return i.email != "" && strings.EqualFold(entry, i.email)
	})
}

// person is who this is here; false: he is not let in. Administrators always are.
func (d *Desk) person(i identity) (handlers.Person, bool) {
	p := handlers.Person{ID: i.id, Name: i.name, Admin: i.listed(d.Admins)}
	if p.Name == "" {
		p.Name = p.ID
	}
	return p, i.id != "" && (p.Admin || len(d.Allow) == 0 || i.listed(d.Allow))
}

// maxName bounds names and ids, in bytes.
const maxName = 255

// plain makes of a text from outside one that can stand in a line.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.TrimSpace(s)
	if len(s) > maxName {
		s = strings.ToValidUTF8(s[:maxName], "")
	}
	return s
}

package web

import (
	"errors"
	"flag"
	"net/http"
	"strings"

	"mqttdoctor/web/signin"
)

// signInFlags are the flags of how people sign in.
func (c *Config) signInFlags(fs *flag.FlagSet) {
	s := &c.SignIn
	fs.Var(oneOf(&s.Method, signin.None, signin.Basic, signin.Proxy, signin.OIDC), "sign-in", "how people sign in: none (everybody who reaches the server may use it), basic (name and password), proxy (a reverse proxy says who it is), oidc (OpenID Connect). Report links work without")
	fs.Var((*commaList)(&s.Admins), "admins", "`people` who are administrators, separated by commas: names, verified e-mail addresses, @domains, group:NAME")
	fs.Var((*commaList)(&s.Allow), "allow-people", "`people` who may sign in, as in --admins; empty: all whom the password file, proxy or provider knows")
	fs.Var((*days)(&s.Life), "session-life", "how long somebody stays signed in, such as 12h")
	fs.Var((*days)(&c.AuditRetention), "audit-retention", "how long is kept who diagnosed what, where people sign in, such as 365d")
	fs.StringVar(&s.File, "password-file", s.File, "`file` of --sign-in basic, as htpasswd -B writes it; it is read again when it changes")
	fs.StringVar(&s.Header, "sign-in-header", s.Header, "`header` of --sign-in proxy with the person; believed from --trusted-proxies alone")
	fs.StringVar(&s.NameHeader, "sign-in-name-header", s.NameHeader, "`header` of --sign-in proxy with the name to show, such as X-Forwarded-Preferred-Username")
	fs.StringVar(&s.GroupsHeader, "sign-in-groups-header", s.GroupsHeader, "`header` of --sign-in proxy with the person's groups, separated by commas, such as X-Forwarded-Groups")
	fs.StringVar(&s.LeaveURL, "sign-out-url", s.LeaveURL, "`address` of --sign-in proxy where people sign out, such as /oauth2/sign_out")
	fs.StringVar(&s.Issuer, "oidc-issuer", s.Issuer, "`address` of the OpenID Connect provider, without /.well-known")
	fs.StringVar(&s.ClientID, "oidc-client-id", s.ClientID, "`id` of this server at the provider")
	fs.Var(secret{&s.ClientSecret}, "oidc-client-secret", "`secret` of this server at the provider. Everybody on this machine can read flags: better set the variable")
	fs.Var((*commaList)(&s.Scopes), "oidc-scopes", "`scopes` to ask the provider for beside openid, separated by commas")
	fs.StringVar(&s.Title, "oidc-title", s.Title, "`name` of the provider on the button; empty: its host")
}

// checkSignIn finds what is wrong with how people sign in. Errors name the flag.
func (c Config) checkSignIn() error {
	if err := c.SignIn.Check(); err != nil {
		return err
	}
	switch {
	case c.SignIn.Method == signin.Proxy && len(c.TrustedProxies) == 0:
		return errors.New("--trusted-proxies: --sign-in proxy needs the addresses of the proxy, or anybody could say who he is")
	case c.SignIn.Method == signin.OIDC && c.PublicURL == nil && !c.Loopback():
		return errors.New("--public-url: --sign-in oidc needs the address under which people reach this server, which the provider leads back to")
	}
	return nil
}

// commaList is a list of words, which replaces what was there.
type commaList []string

func (l *commaList) String() string { return strings.Join(*l, ",") }

func (l *commaList) Set(s string) error {
	*l = nil
	for word := range strings.SplitSeq(s, ",") {
		if word = strings.TrimSpace(word); word != "" {
			*l = append(*l, word)
		}
	}
	return nil
}

// except leaves paths that begin so to the next handler without a middleware.
func except(middleware func(http.Handler) http.Handler, prefixes ...string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		with := middleware(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, prefix := range prefixes {
				if strings.HasPrefix(r.URL.Path, prefix) {
					next.ServeHTTP(w, r)
					return
				}
			}
			with.ServeHTTP(w, r)
		})
	}
}

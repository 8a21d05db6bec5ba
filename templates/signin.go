package templates

import "net/url"

// SignedIn is what a page says of who is signed in. The zero value: people do not sign in here.
type SignedIn struct {
	On        bool   // people sign in on this server
	Person    string // what people know him by; empty: nobody is signed in
	Admin     bool
	CanLeave  bool   // by this server's own button
	LeaveLink string // where the proxy ends its session
}

// signInAddress leads to the page of signing in, and back here from there.
func (p Page) signInAddress() string {
	return "/sign-in?" + url.Values{"next": {p.here()}}.Encode()
}

func (s SignInPage) departAddress() string {
	return "/sign-in/go?" + url.Values{"next": {s.Next}}.Encode()
}

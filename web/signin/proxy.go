package signin

import (
	"net/http"
	"strings"

	"mqttdoctor/handlers"
)

// fromProxy is who the proxy before this server says it is. The header counts only where a trusted proxy sent it: whoever
// reaches the server past the proxy could write what he likes.
func (d *Desk) fromProxy(r *http.Request) handlers.Person {
	if !d.Trusted(handlers.PeerAddr(r)) {
		return handlers.Person{}
	}
	id := only(r, d.Header)
	if id == "" || id != plain(id) { // clipped, two could become one
		return handlers.Person{}
	}
	who := identity{id: id, name: plain(only(r, d.NameHeader))}
	if strings.Contains(id, "@") { // the proxy vouches for it
		who.email = id
	}
	for group := range strings.SplitSeq(only(r, d.GroupsHeader), ",") {
		if group = strings.TrimSpace(group); group != "" {
			who.groups = append(who.groups, group)
		}
	}
	p, let := d.person(who)
	if !let {
		return handlers.Person{}
	}
	return p
}

// only is the value of a header that came once. Two are one that the proxy wrote and one that it should have taken away: it
// cannot be told which.
func only(r *http.Request, name string) string {
	if name == "" {
		return ""
	}
	values := r.Header.Values(name)
	if len(values) != 1 || len(values[0]) > 4<<10 || strings.ContainsFunc(values[0], func(c rune) bool { return c < ' ' }) {
		return ""
	}
	return strings.TrimSpace(values[0])
}

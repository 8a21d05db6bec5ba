package diag

import (
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/idna"
)

// Bounds of what a target may carry. They are far above what real clients use and keep one request small.
const (
	maxURLBytes      = 2048
	maxStringBytes   = 65535 // UTF-8 encoded string of MQTT 5.0 1.5.4
	maxPEMBytes      = 256 << 10
	maxSubscriptions = 32
	maxNodes         = 16
	maxHeaders       = 32
)

var schemeAliases = map[string]Scheme{
	"mqtt": SchemeMQTT, "tcp": SchemeMQTT,
	"mqtts": SchemeMQTTS, "ssl": SchemeMQTTS, "tls": SchemeMQTTS, "mqtt+ssl": SchemeMQTTS, "mqtt+tls": SchemeMQTTS,
	"ws": SchemeWS, "wss": SchemeWSS,
}

// portSchemes are the ports whose transport is by custom so clear that a bare host:port means it.
var portSchemes = map[uint16]Scheme{
	8883: SchemeMQTTS, 8084: SchemeWSS, 443: SchemeWSS, 15676: SchemeWSS,
	8083: SchemeWS, 9001: SchemeWS, 8000: SchemeWS, 8080: SchemeWS, 80: SchemeWS, 15675: SchemeWS,
}

// fullWidth are look-alikes of ASCII punctuation that Chinese and Japanese keyboards yield.
var fullWidth = strings.NewReplacer("：", ":", "．", ".", "。", ".", "｡", ".", "／", "/", "－", "-", "＠", "@", "　", " ")

// SplitUserInfo takes the user name and password out of a pasted URL, so that they never stay in an address.
func SplitUserInfo(raw string) (rest, username string, password Secret) {
	scheme, tail, ok := strings.Cut(raw, "://")
	prefix := scheme + "://"
	if !ok {
		prefix, tail = "", raw
	}
	authorityEnd := strings.IndexAny(tail, "/?#")
	if authorityEnd < 0 {
		authorityEnd = len(tail)
	}
	at := strings.LastIndex(tail[:authorityEnd], "@")
	if at < 0 {
		return raw, "", Secret{}
	}
	user, pass, _ := strings.Cut(tail[:at], ":")
	return prefix + tail[at+1:], unescape(user), NewSecret(unescape(pass))
}

func unescape(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

// ParseTarget checks an input and returns the target, or [FieldErrors] that name each field that is wrong. It does no
// I/O. It accepts mqtt, mqtts, ws and wss URLs, their aliases, and host[:port].
func ParseTarget(in TargetInput) (Target, error) {
	errs := FieldErrors{}
	t := Target{
		Protocol:   VersionAuto,
		ClientID:   in.ClientID,
		Username:   in.Username,
		Password:   in.Password,
		KeepAlive:  60 * time.Second,
		CleanStart: true,
		Topics:     Topics{Publish: in.Topics.Publish, QoS: 1},
		TLS: TLSOptions{
			CAPEM: fileText(in.TLS.CAPEM), CertPEM: fileText(in.TLS.CertPEM), KeyPEM: in.TLS.KeyPEM,
			Insecure: in.TLS.Insecure,
		},
		WS: WSOptions{Origin: strings.TrimSpace(in.WS.Origin), Headers: in.WS.Headers},
	}
	if t.TLS.KeyPEM.Given() {
		t.TLS.KeyPEM = NewSecret(fileText(t.TLS.KeyPEM.Reveal()))
	}
	parseAddress(in, &t, errs)
	parseSession(in, &t, errs)
	parseTLS(in, &t, errs)
	parseWS(in, &t, errs)
	parseTopics(in, &t, errs)
	parseNodes(in, &t, errs)
	return t, errs.orNil()
}

// fileText is what stands in a text file, without the mark that Windows editors put in front of it.
func fileText(s string) string { return strings.TrimSpace(strings.TrimPrefix(s, "\ufeff")) }

func parseAddress(in TargetInput, t *Target, errs FieldErrors) {
	const field = "target.url"
	raw := strings.TrimSpace(in.URL)
	switch {
	case raw == "":
		errs.set(field, N("input.url_empty"))
		return
	case len(raw) > maxURLBytes:
		errs.set(field, N("input.url_long", "limit", strconv.Itoa(maxURLBytes)))
		return
	case !utf8.ValidString(raw):
		errs.set(field, N("input.not_utf8"))
		return
	}
	raw, user, pass := SplitUserInfo(raw)
	if user != "" && t.Username == "" {
		t.Username = user
	}
	if pass.Given() && !t.Password.Given() {
		t.Password = pass
	}
	if plain := fullWidth.Replace(raw); plain != raw {
		errs.set(field, N("input.url_full_width", "suggested", plain))
		return
	}
	if strings.IndexFunc(raw, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || isInvisible(r) }) >= 0 {
		errs.set(field, N("input.url_space"))
		return
	}
	rest := raw
	if scheme, tail, ok := strings.Cut(raw, "://"); ok {
		known, ok := schemeAliases[strings.ToLower(scheme)]
		if !ok {
			errs.set(field, N("input.url_scheme", "value", clip(scheme, 40)))
			return
		}
		t.Scheme, t.SchemeGiven, rest = known, true, tail
	}
	if strings.ContainsAny(rest, "#") {
		errs.set(field, N("input.url_fragment"))
		return
	}
	authority, path := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	host, port, note := splitHostPort(authority)
	if !note.IsZero() {
		errs.set(field, note)
		return
	}
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 32)
		if err != nil || n < 1 || n > 65535 {
			errs.set(field, N("input.url_port", "value", clip(port, 20)))
			return
		}
		t.Port, t.PortGiven = uint16(n), true
	}
	if !t.SchemeGiven {
		t.Scheme = SchemeMQTT
		if s, ok := portSchemes[t.Port]; ok {
			t.Scheme = s
		}
	}
	if !t.PortGiven {
		t.Port = t.Scheme.DefaultPort()
	}
	t.HostTyped = host
	ascii, note := CleanHost(host)
	if !note.IsZero() {
		errs.set(field, note)
		return
	}
	t.Host = ascii
	parsePath(in, t, path, errs)
}

// splitHostPort takes host[:port] apart; a bare IPv6 address needs no brackets where no port follows.
func splitHostPort(authority string) (host, port string, problem Note) {
	if strings.HasPrefix(authority, "[") {
		end := strings.Index(authority, "]")
		if end < 0 {
			return "", "", N("input.url_brackets")
		}
		host = strings.Replace(authority[1:end], "%25", "%", 1) // a zone, as a URL writes it (RFC 6874 2)
		tail := authority[end+1:]
		if _, err := netip.ParseAddr(host); err != nil {
			return "", "", N("input.url_brackets")
		}
		if tail == "" {
			return host, "", Note{}
		}
		if !strings.HasPrefix(tail, ":") {
			return "", "", N("input.url_brackets")
		}
		if tail == ":" {
			return "", "", N("input.url_port", "value", "")
		}
		return host, tail[1:], Note{}
	}
	if addr, err := netip.ParseAddr(authority); err == nil && addr.Is6() {
		return authority, "", Note{}
	}
	host, port, found := strings.Cut(authority, ":")
	if host == "" {
		return "", "", N("input.host_empty")
	}
	if found && port == "" {
		return "", "", N("input.url_port", "value", "")
	}
	return host, port, Note{}
}

var hostLabel = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)

// CleanHost turns a typed host into what is looked up: an address literal, or a lower-case name in IDNA A-labels
// (RFC 5891). The note says what is wrong with it; it is zero where nothing is.
func CleanHost(host string) (string, Note) {
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" && !hostLabel.MatchString(strings.ToLower(addr.Zone())) {
			return "", N("input.host_bad", "value", clip(host, 80))
		}
		return addr.String(), Note{}
	}
	name := strings.TrimSuffix(host, ".")
	if strings.IndexFunc(name, func(r rune) bool { return r > unicode.MaxASCII }) >= 0 {
		ascii, err := idna.Lookup.ToASCII(name)
		if err != nil {
			return "", N("input.host_idn", "value", clip(host, 80))
		}
		name = ascii
	}
	name = strings.ToLower(name)
	if name == "" || len(name) > 253 {
		return "", N("input.host_bad", "value", clip(host, 80))
	}
	digits := true
	for _, label := range strings.Split(name, ".") {
		if !hostLabel.MatchString(label) {
			return "", N("input.host_bad", "value", clip(host, 80))
		}
		digits = digits && strings.Trim(label, "0123456789") == ""
	}
	if digits { // 300.1.2.3 or 10.0.0: meant as an address, and none
		return "", N("input.host_address", "value", clip(host, 80))
	}
	return name, Note{}
}

func parsePath(in TargetInput, t *Target, path string, errs FieldErrors) {
	given := strings.TrimSpace(in.WS.Path)
	if !t.Scheme.IsWebSocket() {
		if strings.Trim(path, "/") != "" {
			errs.set("target.url", N("input.url_path", "scheme", string(t.Scheme), "value", clip(path, 80)))
		}
		// A ws.path beside mqtt:// is the form's default and of no consequence.
		return
	}
	if given != "" && !strings.HasPrefix(given, "/") {
		given = "/" + given
	}
	switch {
	case path == "" && given == "":
		t.WS.Path = "/mqtt"
	case path == "":
		t.WS.Path = given
	case given == "" || given == path:
		t.WS.Path = path
	default:
		errs.set("target.ws.path", N("input.ws_path_conflict", "path", path, "value", clip(given, 80)))
		return
	}
	if strings.HasPrefix(t.WS.Path, "?") {
		t.WS.Path = "/" + t.WS.Path
	}
	var query string
	t.WS.Path, query, _ = strings.Cut(t.WS.Path, "?")
	if t.WS.Query = in.WS.Query; query != "" {
		if t.WS.Query = NewSecret(query); in.WS.Query.Given() && !in.WS.Query.Gone() && in.WS.Query.Reveal() != query {
			errs.set("target.ws.query", N("input.ws_query_conflict"))
		}
	}
	if _, err := url.ParseRequestURI("http://h" + t.WS.Path); err != nil || strings.ContainsAny(t.WS.Path, " \r\n#") {
		errs.set("target.ws.path", N("input.ws_path", "value", clip(t.WS.Path, 80)))
	}
	if _, err := url.ParseRequestURI("http://h" + t.RequestURI(t.WS.Path)); err != nil || strings.ContainsAny(t.WS.Query.Reveal(), " \r\n#") {
		errs.set("target.ws.query", N("input.ws_query"))
	}
}

func parseSession(in TargetInput, t *Target, errs FieldErrors) {
	switch v := Version(strings.TrimSpace(in.Protocol)); v {
	case "":
	case VersionAuto, Version31, Version311, Version5:
		t.Protocol = v
	default:
		errs.set("target.protocol", N("input.protocol", "value", clip(in.Protocol, 40)))
	}
	checkText(errs, "target.client_id", in.ClientID)
	checkText(errs, "target.username", t.Username) // which may have come with the URL
	if len(t.Password.Reveal()) > maxStringBytes {
		errs.set("target.password", N("input.too_long", "limit", strconv.Itoa(maxStringBytes)))
	}
	if in.KeepaliveS != nil {
		if *in.KeepaliveS < 0 || *in.KeepaliveS > 65535 {
			errs.set("target.keepalive_s", N("input.keepalive", "value", strconv.Itoa(*in.KeepaliveS)))
		}
		t.KeepAlive = time.Duration(*in.KeepaliveS) * time.Second
	}
	if in.CleanStart != nil {
		t.CleanStart = *in.CleanStart
	}
	if in.SessionExpiryS < 0 || int64(in.SessionExpiryS) > 0xFFFFFFFF {
		errs.set("target.session_expiry_s", N("input.session_expiry", "value", strconv.Itoa(in.SessionExpiryS)))
	}
	t.SessionExpiry = time.Duration(in.SessionExpiryS) * time.Second
}

func parseWS(in TargetInput, t *Target, errs FieldErrors) {
	if len(in.WS.Headers) > maxHeaders {
		errs.set("target.ws.headers", N("input.too_many", "limit", strconv.Itoa(maxHeaders)))
	}
	for name, value := range in.WS.Headers {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value.Reveal()) {
			errs.set("target.ws.headers", N("input.ws_header", "name", clip(name, 60)))
			continue
		}
		switch strings.ToLower(name) {
		case "host", "connection", "upgrade", "content-length", "transfer-encoding",
			"sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol", "sec-websocket-extensions":
			errs.set("target.ws.headers", N("input.ws_header_reserved", "name", name))
		}
	}
	if t.WS.Origin != "" {
		u, err := url.Parse(t.WS.Origin)
		if t.WS.Origin != "null" && (err != nil || u.Scheme == "" || u.Host == "" || u.User != nil) {
			errs.set("target.ws.origin", N("input.ws_origin", "value", clip(t.WS.Origin, 80)))
		}
	}
}

func parseNodes(in TargetInput, t *Target, errs FieldErrors) {
	if len(in.Nodes) > maxNodes {
		errs.set("target.nodes", N("input.too_many", "limit", strconv.Itoa(maxNodes)))
		return
	}
	for _, raw := range in.Nodes {
		node, ok := t.sibling(raw)
		if !ok {
			errs.set("target.nodes", N("input.node", "value", clip(raw, 80)))
			continue
		}
		t.Nodes = append(t.Nodes, node.URL())
	}
	if strings.TrimSpace(in.BridgeURL) != "" {
		bridge, ok := t.sibling(in.BridgeURL)
		if !ok {
			errs.set("target.bridge_url", N("input.node", "value", clip(in.BridgeURL, 80)))
			return
		}
		t.BridgeURL = bridge.URL()
	}
}

// sibling parses another address of the same system; what it leaves out comes from the target.
func (t Target) sibling(raw string) (Target, bool) {
	var other Target
	errs := FieldErrors{}
	parseAddress(TargetInput{URL: raw, WS: WSInput{Path: ""}}, &other, errs)
	if len(errs) > 0 {
		return Target{}, false
	}
	if !other.SchemeGiven {
		other.Scheme = t.Scheme
		if !other.PortGiven {
			other.Port = t.Port
		}
		other.WS.Path = t.WS.Path
	}
	return other, true
}

func checkText(errs FieldErrors, field, value string) {
	switch {
	case len(value) > maxStringBytes:
		errs.set(field, N("input.too_long", "limit", strconv.Itoa(maxStringBytes)))
	case !utf8.ValidString(value):
		errs.set(field, N("input.not_utf8"))
	case strings.ContainsRune(value, 0): // [MQTT-1.5.4-2]
		errs.set(field, N("input.nul"))
	}
}

// isInvisible tells zero-width and direction marks, which arrive by copy and paste and cannot be seen.
func isInvisible(r rune) bool {
	return r == '\uFEFF' || (r >= '\u200B' && r <= '\u200F') || (r >= '\u202A' && r <= '\u202E') || r == '\u2060'
}

// clip shortens what is quoted back to the user.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n]) + "…"
}

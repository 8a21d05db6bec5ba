package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/klauspost/compress/zstd"

	"mqttdoctor/diag/guard"
)

func TestEveryAnswerHasTheSecurityHeaders(t *testing.T) {
	s := startServer(t, testConfig(t), testEngine(guard.Laptop))
	for _, path := range []string{"/", "/nothing", "/healthz", "/api/v1/checks", "/api/v1/nothing", "/static/nothing", "/runs/x"} {
		h := s.do("GET", path, "").header
		csp := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: policy %q lacks %s", path, csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
			"Cross-Origin-Opener-Policy": "same-origin", "X-Frame-Options": "DENY"} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
		if h.Get("Permissions-Policy") == "" || h.Get("X-Request-Id") == "" {
			t.Errorf("%s: %v", path, h)
		}
	}
	if h := s.do("GET", "/runs/x", "").header; h.Get("X-Robots-Tag") == "" {
		t.Error("search engines may take a report")
	}
}

func TestOtherNamesAreRefusedOnLoopback(t *testing.T) {
	c := testConfig(t)
	c.PublicURL = &url.URL{Scheme: "https", Host: "mqtt.example.com"}
	s := startServer(t, c, testEngine(guard.Laptop, passing("dns.test")))
	port := s.base[strings.LastIndex(s.base, ":"):]
	for _, host := range []string{"localhost" + port, "127.0.0.1" + port, "[::1]" + port, "LOCALHOST", "mqtt.example.com"} {
		s.do("GET", "/api/v1/checks", "", "Host", host).want(http.StatusOK)
	}
	for _, host := range []string{"evil.test", "evil.test" + port, "localhost.evil.test", "127.0.0.1.evil.test", "192.0.2.1"} {
		s.do("GET", "/api/v1/checks", "", "Host", host).wantError(http.StatusMisdirectedRequest, "wrong_host")
		s.do("GET", "/readyz", "", "Host", host).want(http.StatusOK) // a balancer's
	}
	var st started
	s.do("POST", "/api/v1/runs", plainRun, "Host", "localhost"+port).want(http.StatusAccepted).json(&st)
	if !strings.HasPrefix(st.URL, "https://mqtt.example.com/runs/") || !strings.HasPrefix(st.StreamURL, "wss://mqtt.example.com/api/v1/runs/") {
		t.Errorf("%+v", st)
	}
}

func TestPagesOfOtherSitesCannotPost(t *testing.T) {
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, passing("dns.test")))
	post := func(header ...string) answer { return s.do("POST", "/api/v1/runs", plainRun, header...) }
	post("Sec-Fetch-Site", "cross-site").wantError(http.StatusForbidden, "cross_origin")
	post("Sec-Fetch-Site", "same-site").wantError(http.StatusForbidden, "cross_origin")
	post("Origin", "https://evil.test").wantError(http.StatusForbidden, "cross_origin")
	post("Origin", "null").wantError(http.StatusForbidden, "cross_origin")
	post("Origin", s.base).want(http.StatusAccepted)
	post("Sec-Fetch-Site", "same-origin").want(http.StatusAccepted)
	post().want(http.StatusAccepted)
}

func TestAssetsAreCompressedAndFingerprinted(t *testing.T) {
	script := []byte(strings.Repeat("console.log('hello');\n", 200))
	a, err := newAssets(fstest.MapFS{"js/a.js": {Data: script}, "tiny.css": {Data: []byte("a{}")}, "icons/b.png": {Data: []byte("\x89PNG")}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		if !a.serve(w, r) {
			t.Fatalf("%s is not there", path)
		}
		return w
	}
	address := a.url("js/a.js")
	if !strings.HasPrefix(address, "/static/js/a.js?v=") {
		t.Fatal(address)
	}
	w := get(address, "Accept-Encoding", "gzip, br")
	if w.Header().Get("Content-Encoding") != "gzip" || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") ||
		w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" || w.Header().Get("Vary") != "Accept-Encoding" {
		t.Errorf("%v", w.Header())
	}
	zr, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(zr); err != nil || !bytes.Equal(data, script) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	w = get(address, "Accept-Encoding", "gzip, zstd")
	zd, err := zstd.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	defer zd.Close()
	if data, err := io.ReadAll(zd); err != nil || !bytes.Equal(data, script) || w.Header().Get("Content-Encoding") != "zstd" {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	w = get("/static/js/a.js", "Accept-Encoding", "gzip;q=0, identity")
	if !bytes.Equal(w.Body.Bytes(), script) || w.Header().Get("Cache-Control") != "no-cache" {
		t.Errorf("%v", w.Header())
	}
	if w := get("/static/js/a.js", "If-None-Match", w.Header().Get("ETag")); w.Code != http.StatusNotModified {
		t.Errorf("status %d", w.Code)
	}
	if w := get("/static/js/a.js?v=old"); w.Header().Get("Cache-Control") != "no-cache" {
		t.Error("an address of another version is cached for good")
	}
	if w := get("/static/tiny.css", "Accept-Encoding", "gzip"); w.Header().Get("Content-Encoding") != "" {
		t.Error("compressed to more than it was")
	}
	if w := get("/static/icons/b.png"); w.Header().Get("Content-Type") != "image/png" {
		t.Error(w.Header())
	}
	if a.serve(httptest.NewRecorder(), httptest.NewRequest("GET", "/static/../go.mod", nil)) {
		t.Error("a file outside is served")
	}
}

func TestReportsAreCompressed(t *testing.T) {
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, many("tcp.test", 40)))
	st := s.start(plainRun)
	s.watch(st.ID, "")
	plain := s.do("GET", "/api/v1/runs/"+st.ID, "", "Accept-Encoding", "identity")
	a := s.do("GET", "/api/v1/runs/"+st.ID, "", "Accept-Encoding", "gzip")
	if a.header.Get("Content-Encoding") != "gzip" || len(a.body) > len(plain.body)/3 {
		t.Errorf("%d bytes of %d, %v", len(a.body), len(plain.body), a.header)
	}
	head := s.do("HEAD", "/api/v1/runs/"+st.ID, "")
	if head.status != http.StatusOK || len(head.body) != 0 {
		t.Errorf("HEAD: status %d, %d bytes", head.status, len(head.body))
	}
}

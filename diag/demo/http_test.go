package demo

import (
	"crypto/tls"
	"net/http"
)

// httpClient trusts the demo's CA.
func httpClient(info Info) *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool(info), ServerName: "localhost"}}}
}

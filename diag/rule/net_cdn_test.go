package rule

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
)

// The file of ranges is data that people edit: every list has a name, a source and a date, and every line is a prefix.
func TestCDNRangesAreWellFormed(t *testing.T) {
	head := regexp.MustCompile(`^= [^|]+ \| [^|]*https://[^|]+ \| 20\d\d(-\d\d)?$`)
	lists := 0
	for i, line := range strings.Split(cdnRangesText, "\n") {
		switch {
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "="):
			if lists++; !head.MatchString(line) {
				t.Errorf("line %d: %q", i+1, line)
			}
		case lists == 0:
			t.Errorf("line %d: a range without an operator", i+1)
		default:
			if p, err := netip.ParsePrefix(line); err != nil || p != p.Masked() {
				t.Errorf("line %d: %q, %v", i+1, line, err)
			}
		}
	}
	for address, want := range map[string]string{
		"104.16.0.5:1883": "Cloudflare", "[2606:4700::1111]:8883": "Cloudflare", "[::ffff:104.16.0.5]:1883": "Cloudflare",
		"151.101.1.1:443": "Fastly", "13.32.0.1:80": "Amazon CloudFront", "192.0.2.1:1883": "", "127.0.0.1:1883": "", "104.15.255.255:1": "",
	} {
		if got, _ := cdnOf(address); got != want {
			t.Errorf("%s belongs to %q, want %q", address, got, want)
		}
	}
}

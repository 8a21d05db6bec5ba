package catalogue

import "testing"

func TestFiguresAreWrittenForPeople(t *testing.T) {
	for in, want := range map[string]string{
		"2000 ms": "2 s", "2012 ms": "2.01 s", "12345 ms": "12.3 s", "5000123 ms": "5000 s", "999 ms": "999 ms", "0.12 ms": "0.12 ms", "350 s": "350 s", "": "",
	} {
		if got := inSeconds(in); got != want {
			t.Errorf("%q: %q, not %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"1000000": "1,000,000", "65536": "65,536", "4096": "4096", "00ff12": "00ff12", "": ""} {
		if got := groupThousands(in); got != want {
			t.Errorf("%q: %q, not %q", in, got, want)
		}
	}
}

package handlers

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"mqttdoctor/diag"
)

func TestDecodeStrictNamesWhatIsWrong(t *testing.T) {
	for body, want := range map[string][]string{
		`{"target":{"url":"a","tls":{"x":1}},"y":2}`:                          {"target.tls.x", "y"},
		`{"plan":{"burst":{"count":1.5}}}`:                                    {"plan.burst.count"},
		`{"plan":{"timeout_s":"5"}}`:                                          {"plan.timeout_s"},
		`{"target":{"ws":{"headers":{"a":1}}}}`:                               {"target.ws.headers"},
		`{"target":{"insecure":true,"tls":{"insecure":"yes"}}}`:               {"target.insecure", "target.tls.insecure"},
		`{"target":{"url":"a","url":"b","ws":{"headers":{"X":"1","X":"2"}}}}`: {"target.url", "target.ws.headers.X"},
		`{"target":{"nodes":["a","a"],"url":""},"plan":{},"lang":"en"}`:       nil,
		`{"":1,"":2}`:              {""},
		`{"target":{"nodes":[1]}}`: {"target.nodes"},
		`{"target":{"keepalive_s":99999999999999999999}}`:          {"target.keepalive_s"},
		`{"target":null,"plan":{"burst":null,"timeout_s":null}}`:   nil,
		`{"target":{"keepalive_s":null,"topics":{"qos":2}}}`:       nil,
		`{"target":{"url":"a","password":"` + "\\u0000" + `b"}}`:   nil,
		`{"target":{"url":"a","ws":{"headers":{"Cookie":"c=d"}}}}`: nil,
	} {
		var in diag.RunInput
		err := decodeStrict([]byte(body), &in)
		var fields diag.FieldErrors
		if errors.As(err, &fields); !slices.Equal(slices.Sorted(maps.Keys(fields)), want) || (err == nil) != (want == nil) {
			t.Errorf("%s: %v, want %v", body, err, want)
		}
	}
}

// A password must reach the broker as it was sent, or not at all.
func TestDecodeStrictChangesNoText(t *testing.T) {
	for text, fine := range map[string]bool{
		"\xff": false, "caf\xe9": false, `\ud800`: false, `\udc00`: false, `\ud83d\u0041`: false, `\ud83dx`: false, `\udc00\ud83d`: false,
		`\ud83d\ude00`: true, `\\ud800`: true, `\\\ud83d\ude00`: true, `\ufffd`: true, "\ufffd": true, "密码": true, `\u0000\"`: true,
	} {
		var in diag.RunInput
		err := decodeStrict([]byte(`{"target":{"password":"`+text+`"}}`), &in)
		var bad *badRequest
		if fine != (err == nil) || err != nil && (!errors.As(err, &bad) || bad.code != "not_json") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzDecodeStrict(f *testing.F) {
	f.Add(`{"target":{"url":"a","ws":{"headers":{"a":"b"}}},"plan":{"burst":{"count":1}}}`)
	f.Add(`{"target":[null]}`)
	f.Fuzz(func(t *testing.T, body string) {
		var in diag.RunInput
		err := decodeStrict([]byte(body), &in)
		var bad *badRequest
		var fields diag.FieldErrors
		if err != nil && !errors.As(err, &bad) && !errors.As(err, &fields) {
			t.Errorf("%q: %v is nobody's fault", body, err)
		}
	})
}

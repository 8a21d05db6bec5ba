package catalogue

import (
	"maps"
	"strings"
	"testing"
	"testing/fstest"
)

func TestEmbeddedDataLoads(t *testing.T) {
	if _, err := Load(data); err != nil {
		t.Fatal(err)
	}
}

const goodCause = `
dns.nxdomain:
  title: The name {host} does not exist
  summary: No such name.
  explanation: None.[[ Near names are {near}.]]
  told_apart_by: The code.
  fixes:
    - for: any
      text: Correct {host}.
      commands: ["dig {host}"]
  variants:
    alias:
      title: The alias of {host} leads nowhere
`

// goodFiles is the smallest catalogue that loads.
func goodFiles() map[string]string {
	return map[string]string{
		"facts/causes_dns.yaml": "dns.nxdomain: {severity: critical, sources: [RFC 2308]}",
		"en/causes_dns.yaml":    goodCause,
		"zh/causes_dns.yaml":    goodCause,
		"en/report.yaml":        "for.any: Any\nevidence.dns.rcode: {label: Answer, help: The code., values: yesno}\nvalue.yesno.yes: \"yes\"",
		"zh/report.yaml":        "for.any: 任何\nevidence.dns.rcode: {label: 应答, help: 应答码。, values: yesno}\nvalue.yesno.yes: 是",
	}
}

func TestLoaderNamesFileAndKey(t *testing.T) {
	edit := func(file, old, replacement string) map[string]string {
		text := goodFiles()[file]
		if old != "" && !strings.Contains(text, old) {
			panic("no " + old + " in " + file)
		}
		if old == "" {
			return map[string]string{file: text + replacement}
		}
		return map[string]string{file: strings.Replace(text, old, replacement, 1)}
	}
	both := func(old, replacement string) map[string]string {
		out := edit("en/causes_dns.yaml", old, replacement)
		maps.Copy(out, edit("zh/causes_dns.yaml", old, replacement))
		return out
	}
	for _, tt := range []struct {
		name string
		with map[string]string
		want string
	}{
		{"good", nil, ""},
		{"text without twin", edit("en/report.yaml", "", "\nskip.x: Why"), "zh/report.yaml: skip.x: missing, it is in en/report.yaml"},
		{"text only in the other", edit("zh/report.yaml", "", "\nskip.x: 原因"), "en/report.yaml: skip.x: missing, it is in zh/report.yaml"},
		{"cause without twin", edit("zh/causes_dns.yaml", "dns.nxdomain", "dns.other"), "zh/causes_dns.yaml: dns.nxdomain: missing"},
		{"cause without facts", map[string]string{"facts/causes_dns.yaml": ""}, "facts/causes_dns.yaml: dns.nxdomain: missing"},
		{"facts without cause", edit("facts/causes_dns.yaml", "", "\ndns.x: {severity: info}"), "en/causes_dns.yaml: dns.x: missing"},
		{"unknown severity", edit("facts/causes_dns.yaml", "critical", "fatal"), `facts/causes_dns.yaml: dns.nxdomain: severity "fatal"`},
		{"facts of another layer", edit("facts/causes_dns.yaml", "", "\ntcp.x: {severity: info}"), "facts/causes_dns.yaml: tcp.x: belongs to another layer"},
		{"unknown field", both("told_apart_by: The code.", "told_apart_by: The code.\n  tilte: x"), "en/causes_dns.yaml: "},
		{"unknown field of a text", edit("en/report.yaml", "help:", "hlep:"), "en/report.yaml: "},
		{"same key twice", edit("en/report.yaml", "", "\nfor.any: Any"), "en/report.yaml: "},
		{"same key in two files", map[string]string{"en/skip.yaml": "for.any: Any", "zh/skip.yaml": "for.any: 任何"}, "en/skip.yaml: for.any: stands in another file too"},
		{"text in another file", map[string]string{
			"en/skip.yaml": "skip.x: Why", "zh/other.yaml": "skip.x: 原因"}, "zh/other.yaml: skip.x: in en it is in skip.yaml"},
		{"unknown argument", both("{near}", "{naer}"), "en/causes_dns.yaml: dns.nxdomain.explanation: unknown argument {naer}"},
		{"other arguments", edit("zh/causes_dns.yaml", "The name {host}", "The name"), "zh/causes_dns.yaml: dns.nxdomain.title: arguments"},
		{"optional in one language only", edit("zh/causes_dns.yaml", "[[ Near names are {near}.]]", " Near names are {near}."), "zh/causes_dns.yaml: dns.nxdomain.explanation: arguments"},
		{"segment without argument", both("{near}", "none"), "dns.nxdomain.explanation: optional segment"},
		{"segment not closed", both("{near}.]]", "{near}."), "dns.nxdomain.explanation: [[ without ]]"},
		{"segment not opened", both("[[ Near", " Near"), "dns.nxdomain.explanation: ]] without [["},
		{"other commands", edit("zh/causes_dns.yaml", "dig {host}", "nslookup {host}"), "zh/causes_dns.yaml: dns.nxdomain.fixes[0].commands[0]: must be the same"},
		{"fewer commands", edit("zh/causes_dns.yaml", `      commands: ["dig {host}"]`, ""), "zh/causes_dns.yaml: dns.nxdomain.fixes[0].commands[0]: missing"},
		{"other reader", edit("zh/causes_dns.yaml", "for: any", "for: emqx"), "zh/causes_dns.yaml: dns.nxdomain.fixes[0].for: must be the same"},
		{"reader without label", both("for: any", "for: emqx"), "en/causes_dns.yaml: dns.nxdomain.fixes[0].for: no text for.emqx"},
		{"fewer fixes", edit("zh/causes_dns.yaml", "    - for: any\n      text: Correct {host}.\n      commands: [\"dig {host}\"]\n", ""), "zh/causes_dns.yaml: dns.nxdomain.fixes[0].for: missing"},
		{"other variant", edit("zh/causes_dns.yaml", "alias:", "alais:"), "zh/causes_dns.yaml: dns.nxdomain.variants.alias: missing"},
		{"variant in a variant", both("      title: The alias", "      variants: {x: {}}\n      title: The alias"), "dns.nxdomain.variants.alias: a variant has no variants"},
		{"empty text", both("summary: No such name.", `summary: ""`), "en/causes_dns.yaml: dns.nxdomain.summary: empty"},
		{"missing text", both("  summary: No such name.\n", ""), "en/causes_dns.yaml: dns.nxdomain.summary: empty"},
		{"empty label", edit("en/report.yaml", "label: Answer", `label: ""`), "en/report.yaml: evidence.dns.rcode: empty"},
		{"help in one language only", edit("zh/report.yaml", ", help: 应答码。", ""), "zh/report.yaml: evidence.dns.rcode#help: missing"},
		{"unknown group of values", map[string]string{
			"en/x.yaml": "evidence.x: {label: X, values: colours}", "zh/x.yaml": "evidence.x: {label: X, values: colours}"},
			"en/x.yaml: evidence.x#values: no texts value.colours."},
		{"argument in quotes", both("dig {host}", "dig '{host}'"), "dns.nxdomain.fixes[0].commands[0]: argument {host} inside quotes"},
		{"open quote", both(`"dig {host}"`, `'dig "{host}'`), "dns.nxdomain.fixes[0].commands[0]: argument {host} inside quotes"},
		{"quote left open", both(`"dig {host}"`, `'dig {host} "'`), "dns.nxdomain.fixes[0].commands[0]: open quote"},
		{"escaped quote", both(`"dig {host}"`, `'dig "\"" {host}'`), "dns.nxdomain.fixes[0].commands[0]: escaped quote"},
		{"two lines", both(`"dig {host}"`, `"dig {host}\nls"`), "dns.nxdomain.fixes[0].commands[0]: more than one line"},
		{"no key", edit("en/report.yaml", "", "\nBad Key: x"), "en/report.yaml: Bad Key: a key is"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := goodFiles()
			maps.Copy(files, tt.with)
			fsys := fstest.MapFS{}
			for name, text := range files {
				fsys[name] = &fstest.MapFile{Data: []byte(text)}
			}
			_, err := Load(fsys)
			switch {
			case tt.want == "" && err != nil:
				t.Fatal(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Fatalf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := Load(data); err != nil {
			b.Fatal(err)
		}
	}
}

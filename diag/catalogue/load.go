package catalogue

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"mqttdoctor/diag"
)

//go:embed en zh facts
var data embed.FS

// Catalogue is the checked data. It is never changed, and safe to share.
type Catalogue struct {
	codes []diag.Code // in causal order
	facts map[diag.Code]causeFacts
	langs map[Lang]*language
	// guides are the sections of each symptom's guide, the likeliest first.
	guides map[diag.Symptom][]string
}

type language struct {
	texts  map[string]entry
	causes map[diag.Code]cause
	guides map[string]guideSection
}

// entry is a text, or the label and help of something that has a name.
type entry struct {
	text   template
	help   template
	values string // group of words for an evidence key's values: value.<group>.<value>
}

type cause struct {
	words    map[string]template // by the names in causeFields
	fixes    []fix
	decide   []fix
	variants map[string]cause
}

type fix struct {
	reader   string
	text     template
	commands []template
}

// The texts of a cause, all of them needed.
const (
	wordTitle       = "title"
	wordSummary     = "summary"
	wordExplanation = "explanation"
	wordToldApartBy = "told_apart_by"
)

// The shapes of the files.
type causeFacts struct {
	Severity diag.Severity `yaml:"severity"`
	Sources  []string      `yaml:"sources"`
}

type causeFile struct {
	Title       string               `yaml:"title"`
	Summary     string               `yaml:"summary"`
	Explanation string               `yaml:"explanation"`
	ToldApartBy string               `yaml:"told_apart_by"`
	Fixes       []fixFile            `yaml:"fixes"`
	Decide      []fixFile            `yaml:"decide"`
	Variants    map[string]causeFile `yaml:"variants"`
}

type fixFile struct {
	For      string   `yaml:"for"`
	Text     string   `yaml:"text"`
	Commands []string `yaml:"commands"`
}

type entryFile struct {
	Text   string `yaml:"-"`
	Label  string `yaml:"label"`
	Help   string `yaml:"help"`
	Values string `yaml:"values"`
}

// UnmarshalYAML reads a text, or a mapping of label, help and values.
func (e *entryFile) UnmarshalYAML(read func(any) error) error {
	if read(&e.Text) == nil {
		return nil
	}
	type plain entryFile
	return read((*plain)(e))
}

// targetFacts are supplied to every text of a report.
var targetFacts = []string{"host", "port", "hostport", "url", "http_url", "scheme", "path", "client_id", "username", "server_name"}

func knownFact(name string) bool {
	_, ok := diag.ArgNames[diag.Arg(name)]
	return ok || slices.Contains(targetFacts, name)
}

// Default is the embedded catalogue. It panics where the data is broken, which a test has seen long before.
var Default = sync.OnceValue(func() *Catalogue {
	c, err := Load(data)
	if err != nil {
		panic("catalogue: " + err.Error())
	}
	return c
})

// Load reads and checks a catalogue: directories en, zh and facts. The error lists every fault with its file and key.
func Load(files fs.FS) (*Catalogue, error) {
	l := loader{files: files, c: &Catalogue{facts: map[diag.Code]causeFacts{}, langs: map[Lang]*language{}}, in: map[Lang]map[string]place{}}
	for _, lang := range Langs {
		l.c.langs[lang] = &language{texts: map[string]entry{}, causes: map[diag.Code]cause{}, guides: map[string]guideSection{}}
		l.in[lang] = map[string]place{}
		l.readLang(lang)
	}
	l.readFacts()
	if len(l.errs) == 0 {
		l.compare()
		l.checkReferences()
	}
	if len(l.errs) > 0 {
		return nil, errors.Join(l.errs...)
	}
	return l.c, nil
}

// place is where a text stands, for the comparison of the languages.
type place struct {
	file    string
	raw     string
	text    template
	literal bool // the same in every language: a command, a name
}

type loader struct {
	files fs.FS
	c     *Catalogue
	in    map[Lang]map[string]place
	errs  []error
	// unread tells that a file could not be read, so that what is in it must not be called missing.
	unread bool
}

func (l *loader) fail(file, key, format string, args ...any) {
	l.errs = append(l.errs, fmt.Errorf("%s: %s: %s", file, key, fmt.Sprintf(format, args...)))
}

// decode reads a YAML file strictly; order lists its keys as they stand.
func (l *loader) decode(file string, into any) (order []string) {
	raw, err := fs.ReadFile(l.files, file)
	if err == nil {
		order, err = decodeYAML(raw, into)
	}
	if err != nil {
		l.errs = append(l.errs, fmt.Errorf("%s: %w", file, err))
		l.unread = true
		return nil
	}
	return order
}

// decodeYAML parses once for both the values and the order of their keys: parsing is most of the time that loading takes.
func decodeYAML(raw []byte, into any) (order []string, err error) {
	file, err := parser.ParseBytes(raw, 0)
	if err != nil {
		return nil, err
	}
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.NullType {
			continue
		}
		mapping, ok := doc.Body.(ast.MapNode)
		if !ok || len(order) > 0 {
			return nil, errors.New("not one mapping of keys")
		}
		if err := yaml.NodeToValue(doc.Body, into, yaml.Strict()); err != nil {
			return nil, err
		}
		for item := mapping.MapRange(); item.Next(); {
			order = append(order, item.Key().GetToken().Value)
		}
	}
	return order, nil
}

func (l *loader) list(dir string) []string {
	names, err := fs.Glob(l.files, dir+"/*.yaml")
	if err != nil || len(names) == 0 {
		l.errs = append(l.errs, fmt.Errorf("%s: no files", dir))
	}
	return names
}

func isCauses(file string) bool { return strings.HasPrefix(path.Base(file), "causes_") }

func (l *loader) readLang(lang Lang) {
	for _, file := range l.list(string(lang)) {
		if path.Base(file) == guidesFile {
			l.readGuides(lang, file)
			continue
		}
		if isCauses(file) {
			causes := map[string]causeFile{}
			order := l.decode(file, &causes)
			for _, key := range order {
				if _, taken := l.c.langs[lang].causes[diag.Code(key)]; taken {
					l.fail(file, key, "stands in another file too")
				}
				l.c.langs[lang].causes[diag.Code(key)] = l.cause(lang, file, key, causes[key], true)
			}
			continue
		}
		entries := map[string]entryFile{}
		order := l.decode(file, &entries)
		for _, key := range order {
			if _, taken := l.c.langs[lang].texts[key]; taken {
				l.fail(file, key, "stands in another file too")
			}
			l.c.langs[lang].texts[key] = l.entry(lang, file, key, entries[key])
		}
	}
}

var entryKey = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z0-9_-]+)+$`)

func (l *loader) entry(lang Lang, file, key string, e entryFile) entry {
	if !entryKey.MatchString(key) {
		l.fail(file, key, "a key is lower-case words joined by dots")
	}
	if e.Text != "" {
		return entry{text: l.text(lang, file, key, e.Text)}
	}
	out := entry{text: l.text(lang, file, key, e.Label), values: e.Values}
	if e.Help != "" {
		out.help = l.text(lang, file, key+"#help", e.Help)
	}
	if e.Values != "" {
		l.literal(lang, file, key+"#values", e.Values)
	}
	return out
}

func (l *loader) cause(lang Lang, file, key string, f causeFile, whole bool) cause {
	c := cause{words: map[string]template{}, variants: map[string]cause{}}
	for name, raw := range map[string]string{wordTitle: f.Title, wordSummary: f.Summary, wordExplanation: f.Explanation, wordToldApartBy: f.ToldApartBy} {
		if raw != "" || whole {
			c.words[name] = l.text(lang, file, key+"."+name, raw)
		}
	}
	c.fixes = l.fixes(lang, file, key+".fixes", f.Fixes)
	c.decide = l.fixes(lang, file, key+".decide", f.Decide)
	for name, variant := range f.Variants {
		if !whole {
			l.fail(file, key, "a variant has no variants")
		}
		at := key + ".variants." + name
		l.literal(lang, file, at, name)
		c.variants[name] = l.cause(lang, file, at, variant, false)
	}
	return c
}

func (l *loader) fixes(lang Lang, file, key string, in []fixFile) []fix {
	var out []fix
	for i, f := range in {
		at := fmt.Sprintf("%s[%d]", key, i)
		l.literal(lang, file, at+".for", f.For)
		x := fix{reader: f.For, text: l.text(lang, file, at+".text", f.Text)}
		for j, raw := range f.Commands {
			where := fmt.Sprintf("%s.commands[%d]", at, j)
			command := l.literal(lang, file, where, raw)
			if err := checkCommand(command); err != nil {
				l.fail(file, where, "%v", err)
			}
			x.commands = append(x.commands, command)
		}
		out = append(out, x)
	}
	return out
}

// text reads what is written in each language anew.
func (l *loader) text(lang Lang, file, key, raw string) template {
	return l.put(lang, key, place{file: file, raw: raw})
}

// literal reads what is the same in every language.
func (l *loader) literal(lang Lang, file, key, raw string) template {
	return l.put(lang, key, place{file: file, raw: raw, literal: true})
}

func (l *loader) put(lang Lang, key string, p place) template {
	if strings.TrimSpace(p.raw) == "" {
		l.fail(p.file, key, "empty")
	}
	var err error
	if p.text, err = parseTemplate(p.raw, knownFact); err != nil {
		l.fail(p.file, key, "%v", err)
	}
	l.in[lang][key] = p
	return p.text
}

func (l *loader) readFacts() {
	files := slices.SortedFunc(slices.Values(l.list("facts")), func(a, b string) int {
		return layerOf(a).Rank() - layerOf(b).Rank()
	})
	for _, file := range files {
		if path.Base(file) == guidesFile {
			l.readGuideLists(file)
			continue
		}
		if !isCauses(file) || layerOf(file).Rank() == len(diag.Layers) {
			l.fail(file, "", "not causes_<layer>.yaml")
			continue
		}
		facts := map[string]causeFacts{}
		order := l.decode(file, &facts)
		for _, key := range order {
			code := diag.Code(key)
			if code.Layer() != layerOf(file) {
				l.fail(file, key, "belongs to another layer's file")
			}
			switch facts[key].Severity {
			case diag.SeverityCritical, diag.SeverityWarning, diag.SeverityInfo:
			default:
				l.fail(file, key, "severity %q", facts[key].Severity)
			}
			l.c.codes = append(l.c.codes, code)
			l.c.facts[code] = facts[key]
			for _, lang := range Langs {
				if _, ok := l.c.langs[lang].causes[code]; !ok && !l.unread {
					l.fail(string(lang)+"/"+path.Base(file), key, "missing")
				}
			}
		}
	}
	for _, lang := range Langs {
		for _, code := range slices.Sorted(maps.Keys(l.c.langs[lang].causes)) {
			if _, ok := l.c.facts[code]; !ok && !l.unread {
				l.fail("facts/causes_"+string(code.Layer())+".yaml", string(code), "missing")
			}
		}
	}
}

func layerOf(file string) diag.Layer {
	return diag.Layer(strings.TrimSuffix(strings.TrimPrefix(path.Base(file), "causes_"), ".yaml"))
}

// compare demands that every language says the same things with the same facts, in files of the same name.
func (l *loader) compare() {
	for _, lang := range Langs {
		for _, other := range Langs {
			for _, key := range slices.Sorted(maps.Keys(l.in[lang])) {
				p := l.in[lang][key]
				twin, ok := l.in[other][key]
				file := string(other) + "/" + path.Base(p.file)
				if !ok {
					l.fail(file, key, "missing, it is in %s", p.file)
					continue
				}
				if lang != English || other == lang {
					continue // each difference once
				}
				needed, optional := p.text.facts()
				twinNeeded, twinOptional := twin.text.facts()
				switch {
				case path.Base(twin.file) != path.Base(p.file):
					l.fail(twin.file, key, "in %s it is in %s", lang, path.Base(p.file))
				case p.literal && p.raw != twin.raw:
					l.fail(twin.file, key, "must be the same in every language")
				case !slices.Equal(needed, twinNeeded) || !slices.Equal(optional, twinOptional):
					l.fail(twin.file, key, "arguments %v %v, in %s %v %v", twinNeeded, twinOptional, lang, needed, optional)
				}
			}
		}
	}
}

// checkReferences demands a label for every reader of a fix and words for every group of values.
func (l *loader) checkReferences() {
	for _, lang := range Langs {
		for _, key := range slices.Sorted(maps.Keys(l.in[lang])) {
			p := l.in[lang][key]
			if strings.HasSuffix(key, "].for") {
				if _, ok := l.c.langs[lang].texts["for."+p.raw]; !ok {
					l.fail(p.file, key, "no text for.%s", p.raw)
				}
			}
			if strings.HasSuffix(key, "#values") && !l.hasGroup(lang, p.raw) {
				l.fail(p.file, key, "no texts value.%s.", p.raw)
			}
		}
	}
}

func (l *loader) hasGroup(lang Lang, group string) bool {
	for key := range l.c.langs[lang].texts {
		if strings.HasPrefix(key, "value."+group+".") {
			return true
		}
	}
	return false
}

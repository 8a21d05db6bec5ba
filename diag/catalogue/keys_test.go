package catalogue

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mqttdoctor/diag"
)

// source is what the Go code of the module says in string literals.
type source struct {
	notes    []noteCall
	literals map[string]bool
	prefixes []string            // literals that end with a dot: the rest of the key is made at run time
	consts   map[string][]string // typed string constants of package diag, by type
}

// noteCall is a call of N with a literal key.
type noteCall struct {
	at    token.Position
	key   string
	given []string // argument names
	whole bool     // all of them are known
}

// readSource parses every Go file of the module that is no test, except this package's own.
func readSource(t *testing.T) source {
	t.Helper()
	s := source{literals: map[string]bool{}, consts: map[string][]string{}}
	files := token.NewFileSet()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata" || name == "catalogue"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Logf("not read: %v", err) // somebody is writing it
			return nil
		}
		ast.Inspect(file, func(n ast.Node) bool { return s.visit(files, n) })
		if file.Name.Name == "diag" {
			s.constants(file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *source) visit(files *token.FileSet, n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BasicLit:
		if text, ok := literal(n); ok {
			s.literals[text] = true
			if strings.HasSuffix(text, ".") {
				s.prefixes = append(s.prefixes, text)
			}
		}
	case *ast.CallExpr:
		name := ""
		switch f := n.Fun.(type) {
		case *ast.Ident:
			name = f.Name
		case *ast.SelectorExpr:
			name = f.Sel.Name
		}
		if name != "N" || len(n.Args) == 0 {
			return true
		}
		key, ok := literal(n.Args[0])
		if !ok {
			return true
		}
		call := noteCall{at: files.Position(n.Pos()), key: key, whole: n.Ellipsis == token.NoPos}
		for i := 1; i < len(n.Args); i += 2 {
			arg, ok := literal(n.Args[i])
			call.given, call.whole = append(call.given, arg), call.whole && ok
		}
		s.notes = append(s.notes, call)
	}
	return true
}

func (s *source) constants(file *ast.File) {
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			value, ok := spec.(*ast.ValueSpec)
			if !ok {
				continue
			}
			typed, ok := value.Type.(*ast.Ident)
			if !ok || len(value.Values) != 1 {
				continue
			}
			if text, ok := literal(value.Values[0]); ok {
				s.consts[typed.Name] = append(s.consts[typed.Name], text)
			}
		}
	}
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

// TestNotesHaveTexts demands a text for every note that the code makes, with no more facts than the code gives.
func TestNotesHaveTexts(t *testing.T) {
	texts := Default().langs[English].texts
	ours := regexp.MustCompile(`^(input|skip|because|step|api)\.`) // pages have words of their own
	for _, call := range readSource(t).notes {
		if !ours.MatchString(call.key) {
			continue
		}
		e, ok := texts[call.key]
		if !ok {
			t.Errorf("%s: no text %s", call.at, call.key)
			continue
		}
		if !call.whole {
			continue
		}
		given := call.given
		if !strings.HasPrefix(call.key, "input.") && !strings.HasPrefix(call.key, "api.") {
			given = append(slices.Clone(given), targetFacts...) // what belongs to a run is told with its target
		}
		needed, _ := e.text.facts()
		for _, name := range needed {
			if !slices.Contains(given, name) {
				t.Errorf("%s: the text %s needs {%s}", call.at, call.key, name)
			}
		}
	}
}

// TestTextsAreUsed finds texts that the code no longer says.
func TestTextsAreUsed(t *testing.T) {
	s := readSource(t)
	said := regexp.MustCompile(`^(input|skip|because|step|check)\.`)
	for _, key := range slices.Sorted(maps.Keys(Default().langs[English].texts)) {
		name := strings.TrimPrefix(key, "check.")
		made := slices.ContainsFunc(s.prefixes, func(p string) bool { return strings.HasPrefix(name, p) && strings.Count(p, ".") > 1 })
		if said.MatchString(key) && !s.literals[name] && !made {
			t.Errorf("nothing says %s", key)
		}
	}
}

// TestNamedThings demands a label for each value of diag's closed lists, and no label for anything else.
func TestNamedThings(t *testing.T) {
	consts := readSource(t).consts
	consts["field"] = jsonFields(reflect.TypeFor[diag.RunInput](), "")
	for typed, prefix := range map[string]string{
		"EvidenceKey": "evidence", "Outcome": "value.outcome", "Status": "status", "Severity": "severity", "Confidence": "confidence",
		"Overall": "verdict", "State": "state", "Layer": "layer", "Symptom": "symptom", "Depth": "depth", "field": "field",
	} {
		values := consts[typed]
		if len(values) == 0 {
			t.Errorf("no constants of %s found", typed)
		}
		for _, lang := range Langs {
			for _, value := range values {
				label, help := Label(prefix+"."+value, lang)
				if label == "" {
					t.Errorf("%s: no %s.%s", lang, prefix, value)
				}
				if prefix == "evidence" && help == "" {
					t.Errorf("%s: %s.%s has no help", lang, prefix, value)
				}
			}
		}
		for key := range Default().langs[English].texts {
			if rest, ok := strings.CutPrefix(key, prefix+"."); ok && !slices.Contains(values, rest) {
				t.Errorf("%s: diag has no such %s", key, typed)
			}
		}
	}
}

// jsonFields lists the paths of an input's JSON fields.
func jsonFields(typ reflect.Type, path string) []string {
	var out []string
	for field := range typ.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		inner := field.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[diag.Secret]() {
			out = append(out, jsonFields(inner, path+name+".")...)
			continue
		}
		out = append(out, path+name)
	}
	return out
}

func TestMismatchCodesHaveWords(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "mqttwire", "topic.go"), nil, 0)
	if os.IsNotExist(err) {
		t.Skip("not written yet")
	} else if err != nil {
		t.Fatal(err)
	}
	s := source{consts: map[string][]string{}}
	s.constants(file)
	for _, code := range s.consts["MismatchCode"] {
		if label, _ := Label("value.mismatch."+code, English); label == "" {
			t.Errorf("no value.mismatch.%s", code)
		}
		if _, ok := Default().langs[English].causes["msg.filter_mismatch"].variants[code]; !ok {
			t.Errorf("msg.filter_mismatch has no variant %s", code)
		}
	}
}

var (
	inBackticks  = regexp.MustCompile("`[^`]*`")
	hanHalfWidth = regexp.MustCompile(`\p{Han}[,;:?!()]|[,;?!)]\p{Han}`)
	hanSpaced    = regexp.MustCompile(`\p{Han} \p{Han}|[，。；：？！（）“”] | [，。；：？！）”]`)
	hanGlued     = regexp.MustCompile(`\p{Han}[A-Za-z0-9{]|[A-Za-z0-9}]\p{Han}`)
)

// TestTypography keeps the Chinese in full-width punctuation with blanks around Latin words, and titles without full stops.
func TestTypography(t *testing.T) {
	for _, lang := range Langs {
		stop := map[Lang]string{English: ".", Chinese: "。"}[lang]
		l := loadedPlaces(t, lang)
		for _, key := range slices.Sorted(maps.Keys(l)) {
			p := l[key]
			if p.literal {
				continue
			}
			text := inBackticks.ReplaceAllString(strings.NewReplacer("[[", "", "]]", "").Replace(p.raw), "x")
			if lang == Chinese {
				for what, re := range map[string]*regexp.Regexp{"half-width punctuation": hanHalfWidth, "blank": hanSpaced, "no blank beside Latin": hanGlued} {
					if found := re.FindString(text); found != "" {
						t.Errorf("%s: %s: %s: %q", p.file, key, what, found)
					}
				}
			}
			if strings.Contains(text, "  ") || strings.TrimSpace(text) != text {
				t.Errorf("%s: %s: superfluous blank", p.file, key)
			}
			switch {
			case !isCauses(p.file):
			case strings.HasSuffix(key, "."+wordTitle) && strings.HasSuffix(text, stop):
				t.Errorf("%s: %s: a title has no full stop", p.file, key)
			case (strings.HasSuffix(key, "."+wordSummary) || strings.HasSuffix(key, "."+wordExplanation) || strings.HasSuffix(key, "."+wordToldApartBy)) &&
				!strings.HasSuffix(text, stop):
				t.Errorf("%s: %s: a sentence has a full stop", p.file, key)
			}
		}
	}
}

func loadedPlaces(t *testing.T, lang Lang) map[string]place {
	t.Helper()
	l := loader{files: data, c: &Catalogue{facts: map[diag.Code]causeFacts{}, langs: map[Lang]*language{
		lang: {texts: map[string]entry{}, causes: map[diag.Code]cause{}, guides: map[string]guideSection{}}}}, in: map[Lang]map[string]place{lang: {}}}
	l.readLang(lang)
	if len(l.errs) > 0 {
		t.Fatal(l.errs)
	}
	return l.in[lang]
}

package probe_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mqttdoctor/diag"
)

// writtenScenario is a scenario or tlsCase as it stands in the tests of this directory.
type writtenScenario struct {
	in, name string      // the top-level declaration that it stands in, and what it is called there
	root     diag.Code   // the root cause that it wants; empty: it has to be silent
	beside   []diag.Code // findings that must be there as well
}

// writtenScenarios reads the tests of this directory, those for other systems too. What it finds depends on no test being run.
func writtenScenarios(t *testing.T) []writtenScenario {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests found: %v", err)
	}
	var out []writtenScenario
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			ast.Inspect(decl, func(n ast.Node) bool {
				if lit, ok := n.(*ast.CompositeLit); ok {
					if s, ok := scenarioOf(lit); ok {
						s.in = nameOf(decl)
						out = append(out, s)
					}
				}
				return true
			})
		}
	}
	return out
}

// nameOf is the name of a function or of the first variable of a declaration.
func nameOf(decl ast.Decl) string {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		return d.Name.Name
	case *ast.GenDecl:
		if v, ok := d.Specs[0].(*ast.ValueSpec); ok {
			return v.Names[0].Name
		}
	}
	return ""
}

// scenarioOf reads a literal that is a scenario: by its type, or where that is left out by the peer that it starts.
func scenarioOf(lit *ast.CompositeLit) (writtenScenario, bool) {
	fields := map[string]ast.Expr{}
	for _, e := range lit.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if key, ok := kv.Key.(*ast.Ident); ok {
				fields[key.Name] = kv.Value
			}
		}
	}
	typed, ok := lit.Type.(*ast.Ident)
	if ok && typed.Name != "scenario" && typed.Name != "tlsCase" || lit.Type != nil && !ok {
		return writtenScenario{}, false
	}
	if lit.Type == nil && fields["peer"] == nil && fields["broken"] == nil {
		return writtenScenario{}, false
	}
	s := writtenScenario{name: constant(fields["name"]), root: diag.Code(constant(fields["want"]) + constant(fields["root"]))}
	if fields["want"] != nil && s.root == "" || s.name == "" {
		return s, false // told only when the test runs
	}
	for _, list := range []string{"info", "also"} {
		if codes, ok := fields[list].(*ast.CompositeLit); ok {
			for _, e := range codes.Elts {
				s.beside = append(s.beside, diag.Code(constant(e)))
			}
		}
	}
	return s, true
}

// constant is the text of a string literal, of a sum the text that it begins with; otherwise it is empty.
func constant(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil {
			return text
		}
	case *ast.BinaryExpr:
		return constant(e.X)
	}
	return ""
}

func TestInventory(t *testing.T) {
	all := writtenScenarios(t)
	by := map[diag.Code][]string{}
	for _, s := range all {
		for _, c := range append(slices.Clone(s.beside), s.root) {
			by[c] = append(by[c], s.in+": "+s.name)
		}
	}
	for c, names := range by {
		t.Log(c, strings.Join(names, " | "))
	}
}

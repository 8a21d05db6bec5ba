package web

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "mqttdoctor"

// pkg is what `go list` says of a package.
type pkg struct {
	ImportPath string
	Name       string
	Dir        string
	GoFiles    []string
	Imports    []string
}

// room is the package's path below the module; "." is the module itself.
func (p pkg) room() string { return roomOf(p.ImportPath) }

func roomOf(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/")
}

// ours are the imports that belong to this module, as rooms.
func (p pkg) ours() []string {
	var rooms []string
	for _, i := range p.Imports {
		if i == module || strings.HasPrefix(i, module+"/") {
			rooms = append(rooms, roomOf(i))
		}
	}
	return rooms
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Name,Dir,GoFiles,Imports", "./...")
	cmd.Dir = ".."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func inside(room, folder string) bool { return room == folder || strings.HasPrefix(room, folder+"/") }

// layers are the rooms that import one way: cmd -> web -> handlers -> templates -> diag.
var layers = []string{"cmd", "web", "handlers", "templates", "diag"}

func layerOf(room string) int {
	return slices.IndexFunc(layers, func(l string) bool { return inside(room, l) })
}

// siblings are the rooms below diag that may know each other, and why. All others know the root package alone.
var siblings = map[string][]string{
	"diag/trace":       {"diag/mqttwire"},
	"diag/mqttwire":    {"diag/errno"},
	"diag/relay":       {"diag/mqttwire", "diag/netprobe", "diag/errno"}, // the same tools
	"diag/probe":       {"diag/mqttwire", "diag/netprobe", "diag/errno"}, // the wire and the socket are tools, not rooms of judgement
	"diag/probe/bench": {"diag/probe", "diag/rule"},                      // measures whole runs
}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		room := p.room()
		for _, to := range p.ours() {
			switch {
			case to == "diag/diagtest" && room != "diag/diagtest":
				t.Errorf("%s imports diag/diagtest outside of a test: broken peers and certificates do not belong into the program", room)
			case room == "static":
				t.Errorf("static imports %s: it holds files and nothing else, so that everything may import it", to)
			case inside(room, "diag") && to == "diag/patience":
				// How long to wait: a tool that knows nothing of diagnoses, for the engine and its probes.
			case to == "static":
				// Files; whoever shows pages or serves them needs their names.
			case room == "web/archive" && to != "diag":
				t.Errorf("web/archive imports %s: it keeps reports, and must not know who makes or shows them", to)
			case room == "diag":
				t.Errorf("diag imports its own folder %s: it is the language that they speak, and must stay free of what they do", to)
			case inside(room, "diag") && !inside(to, "diag"):
				t.Errorf("%s imports %s: the engine imports nothing of ours from outside, so that the command line and the server share it", room, to)
			case inside(room, "diag") && to != "diag" && room != "diag/diagtest" && !slices.Contains(siblings[room], to):
				t.Errorf("%s imports %s: probes, rules, catalogue, guard and live know package diag and not each other; package web joins them", room, to)
			case layerOf(to) < layerOf(room):
				t.Errorf("%s imports %s: imports point one way, cmd -> web -> handlers -> templates -> diag", room, to)
			}
		}
	}
}

// TestOnlyTheGuardDials finds dialling in the source: every way around the guard would be a way into the network that
// this server stands in.
func TestOnlyTheGuardDials(t *testing.T) {
	may := map[string]string{
		"diag/guard":    "it is the door",
		"diag/diagtest": "tests reach their own peers",
	}
	dials := map[string][]string{
		"net":  {"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialIP", "DialUnix", "Dialer"},
		"tls":  {"Dial", "DialWithDialer", "Dialer"},
		"http": {"Get", "Head", "Post", "PostForm", "DefaultClient"},
	}
	eachFile(t, func(p pkg, name string, file *ast.File) {
		if _, ok := may[p.room()]; ok {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if from, ok := sel.X.(*ast.Ident); ok && from.Obj == nil && slices.Contains(dials[from.Name], sel.Sel.Name) {
				t.Errorf("%s/%s uses %s.%s: only diag/guard dials, so that no address gets past the target policy", p.room(), name, from.Name, sel.Sel.Name)
			}
			return true
		})
	})
}

func TestOnlyTheRunnerStartsGoroutinesInDiag(t *testing.T) {
	eachFile(t, func(p pkg, name string, file *ast.File) {
		if (p.room() != "diag" && p.room() != "diag/live") || name == "runner.go" {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if _, ok := n.(*ast.GoStmt); ok {
				t.Errorf("%s/%s starts a goroutine: the runner alone does, so that a run that has returned has ended", p.room(), name)
			}
			return true
		})
	})
}

func TestEveryPackageHasOneDocComment(t *testing.T) {
	docs := map[string][]string{}
	rooms := map[string]pkg{}
	eachFile(t, func(p pkg, name string, file *ast.File) {
		rooms[p.room()] = p
		if file.Doc != nil && !ast.IsGenerated(file) {
			docs[p.room()] = append(docs[p.room()], name)
			want := "Package " + p.Name + " "
			if p.Name == "main" {
				want = "Command " + filepath.Base(p.Dir) + " "
			}
			if !strings.HasPrefix(file.Doc.Text(), want) {
				t.Errorf("%s/%s: the package comment begins with %q", p.room(), name, want)
			}
		}
	})
	for room := range rooms {
		if len(docs[room]) != 1 {
			t.Errorf("%s has package comments in %v: one says what the room is for and what is always true in it", room, docs[room])
		}
	}
}

func TestTopLevelFoldersAreTheOnesOfTheDesign(t *testing.T) {
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	rooms := []string{"cmd", "diag", "handlers", "static", "templates", "web"}
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() || strings.HasPrefix(name, ".") || name == "node_modules" || name == "dist" || name == "docs" {
			continue
		}
		if !slices.Contains(rooms, name) {
			t.Errorf("folder %s: code lives in %v, documents in docs; a further room is a decision of design.md", name, rooms)
		}
	}
}

// eachFile parses every source file but tests.
func eachFile(t *testing.T, visit func(p pkg, name string, file *ast.File)) {
	t.Helper()
	set := token.NewFileSet()
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			visit(p, name, file)
		}
	}
}

package web

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What README names is there: pictures, links, files and folders of the tree. A guide to a tree of last year is worse than none.
func TestReadmeNamesWhatIsThere(t *testing.T) {
	data, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range regexp.MustCompile(`\]\(([^):]+)\)`).FindAllStringSubmatch(string(data), -1) {
		names = append(names, m[1])
	}
	links := len(names)
	for _, m := range regexp.MustCompile("`((?:diag|web|handlers|templates|static|cmd|\\.ci|\\.readme|\\.deploy)/[\\w./-]*\\w)`").FindAllStringSubmatch(string(data), -1) {
		names = append(names, m[1])
	}
	for _, name := range names {
		name, _, _ = strings.Cut(name, "#")
		if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(strings.TrimPrefix(name, "./")))); err != nil {
			t.Errorf("README.md names %s: %v", name, err)
		}
	}
	if links < 6 || len(names)-links < 10 {
		t.Errorf("%d links and %d names found", links, len(names)-links)
	}
}

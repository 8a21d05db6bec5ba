package templates

import (
	"strings"
	"testing"
)

// A copied command is the command, to the last blank, whatever its words are wrapped in.
func TestCommandsBreakBetweenWordsAndAreCopiedAsTheyAre(t *testing.T) {
	const line = `docker ps --format 'table  {{.Names}}' | grep -v "a<b" `
	got := render(t, Commands(Page{Lang: "en"}, []string{line}, "x"))
	_, rest, found := strings.Cut(got, "<pre")
	_, rest, _ = strings.Cut(rest, ">")
	inner, _, ended := strings.Cut(rest, "</pre>")
	if !found || !ended {
		t.Fatalf("no command in %s", got)
	}
	if !strings.Contains(inner, `<span class="word">--format</span>`) {
		t.Errorf("an option may break at its hyphens: %s", inner)
	}
	plain := strings.NewReplacer(`<span class="word">`, "", "</span>", "", "&lt;", "<", "&#39;", "'", "&#34;", `"`).Replace(inner)
	if plain != line {
		t.Errorf("copied would be %q, not %q", plain, line)
	}
}

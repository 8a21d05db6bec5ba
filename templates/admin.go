package templates

import (
	"time"

	"github.com/dustin/go-humanize"
)

// AdminPage is one of the pages of administrators.
type AdminPage struct {
	Page
	Part           string // runs, audit or limits
	Target, Person string // searched for
	Older          string // address of the lines before these; empty: there are none
	Export         string // address of the list as a file; empty: none

	Runs   []AdminRun
	Bytes  int64 // of all reports
	Lines  []AdminLine
	Limits []AdminLimit
	Saved  bool // limits have just been set
}

// AdminRun is a run in the list of all.
type AdminRun struct {
	ID          string
	At, Expires time.Time
	Result      string // the verdict, or running
	Cause       string // the root cause in words
	Person      string
	Target      string
	Bytes       int64
}

// AdminLine is a line of the audit log.
type AdminLine struct {
	At                                     time.Time
	Person, Client, Act, Run, Target, Note string
}

// AdminLimit is a limit that can be set.
type AdminLimit struct {
	Name       string
	Value      string // empty: not set
	Configured string // what holds then
	Wrong      bool
}

// kind is what a limit is of: number, time or size.
func (l AdminLimit) kind() string {
	switch l.Name {
	case "retention":
		return "time"
	case "max-database":
		return "size"
	}
	return "number"
}

// adminParts are the pages, in the order of their links.
var adminParts = []struct{ part, path string }{{"runs", "/admin"}, {"audit", "/admin/audit"}, {"limits", "/admin/limits"}}

func byteText(n int64) string { return humanize.Bytes(uint64(max(0, n))) }

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

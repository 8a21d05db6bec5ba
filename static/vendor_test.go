package static

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"strings"
	"testing"
)

// TestVendoredFilesAreAsPublished: each file of others is listed with its version, licence and checksum, and is what it says.
func TestVendoredFilesAreAsPublished(t *testing.T) {
	listed := map[string]string{}
	for line := range strings.Lines(read(t, "vendor/README.md")) {
		cells := strings.Split(line, "|")
		if len(cells) < 7 || !strings.Contains(cells[1], "/") {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		listed["vendor/"+cells[1]] = cells[5]
		if cells[2] == "" || cells[3] == "" || cells[4] == "" {
			t.Errorf("%s: package, version or licence is missing", cells[1])
		}
	}
	err := fs.WalkDir(FS, "vendor", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path.Base(name), "LICENSE") || name == "vendor/README.md" {
			return err
		}
		sum := sha256.Sum256([]byte(read(t, name)))
		if want, ok := listed[name]; !ok {
			t.Errorf("%s is not in vendor/README.md", name)
		} else if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%s has the checksum %s, not that of what was published", name, got)
		}
		delete(listed, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range listed {
		t.Errorf("%s is listed and not there", name)
	}
}

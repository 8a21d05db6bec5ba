package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// assets serves the embedded files. They are compressed once, when the program starts, and named with their fingerprint
// ("?v="), so that browsers ask for each version once.
type assets struct {
	files map[string]asset
}

type asset struct {
	etag  string
	kind  string
	plain []byte
	gzip  []byte // nil: not worth it
	zstd  []byte
}

// staticPrefix is where assets are.
const staticPrefix = "/static/"

// newAssets reads the files, and takes those that the program makes, by name.
func newAssets(files fs.FS, made map[string]string) (*assets, error) {
	squeeze, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer squeeze.Close()
	a := &assets{files: map[string]asset{}}
	err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		return a.add(name, data, squeeze)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the static files: %w", err)
	}
	for name, text := range made {
		if err := a.add(name, []byte(text), squeeze); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *assets) add(name string, data []byte, squeeze *zstd.Encoder) error {
	sum := sha256.Sum256(data)
	f := asset{etag: hex.EncodeToString(sum[:8]), kind: contentType(name), plain: data}
	if compressible(f.kind) {
		var err error
		if f.gzip, err = gzipped(data); err != nil {
			return err
		}
		f.zstd = worth(squeeze.EncodeAll(data, nil), data)
	}
	a.files[name] = f
	return nil
}

// contentType does not ask the machine's own table, which differs from one to the next.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".woff2":
		return "font/woff2"
	case ".webmanifest":
		return "application/manifest+json"
	case ".txt":
		return "text/plain; charset=utf-8"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

func compressible(kind string) bool {
	return strings.HasPrefix(kind, "text/") || strings.Contains(kind, "svg") || strings.Contains(kind, "json") || strings.Contains(kind, "javascript")
}

func gzipped(data []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return worth(b.Bytes(), data), nil
}

// worth drops a compressed form that saves nothing.
func worth(small, data []byte) []byte {
	if len(small) >= len(data) {
		return nil
	}
	return small
}

// url is the address of a file, with its fingerprint; a name that is none stays without, and shows as 404.
func (a *assets) url(name string) string {
	f, ok := a.files[name]
	if !ok {
		return staticPrefix + name
	}
	return staticPrefix + name + "?v=" + f.etag
}

// serve answers GET and HEAD below staticPrefix; false: there is no such file.
func (a *assets) serve(w http.ResponseWriter, r *http.Request) bool {
	f, ok := a.files[strings.TrimPrefix(r.URL.Path, staticPrefix)]
	if !ok {
		return false
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Vary", "Accept-Encoding")
	body, tag := f.plain, f.etag
	switch {
	case f.zstd != nil && accepts(r, "zstd"):
		body, tag = f.zstd, f.etag+"-zstd"
		h.Set("Content-Encoding", "zstd")
	case f.gzip != nil && accepts(r, "gzip"):
		body, tag = f.gzip, f.etag+"-gzip"
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", strconv.Quote(tag))
	h.Set("Cache-Control", "no-cache") // ask each time; a match costs no body
	if r.URL.Query().Get("v") == f.etag {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	return true
}

// accepts reads Accept-Encoding (RFC 9110 12.5.3) as far as browsers use it.
func accepts(r *http.Request, coding string) bool {
	for _, line := range r.Header.Values("Accept-Encoding") {
		for item := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(item, ";")
			if !strings.EqualFold(strings.TrimSpace(name), coding) {
				continue
			}
			q, weighted := strings.CutPrefix(strings.TrimSpace(params), "q=")
			if !weighted {
				return true
			}
			weight, err := strconv.ParseFloat(q, 64)
			return err == nil && weight > 0
		}
	}
	return false
}

// Package static holds what browsers load: style sheets, scripts, icons. It is embedded into the binary, so that pages work
// with no internet; nothing here is fetched from elsewhere, and nothing needs a build step.
package static

import "embed"

// FS holds the files by their path below this folder, such as "css/base.css". They hold no secrets and may be cached for
// as long as their address bears their fingerprint.
//
//go:embed css js icons vendor
var FS embed.FS

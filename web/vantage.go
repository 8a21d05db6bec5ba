package web

import (
	"os"
	"runtime"
	"runtime/debug"

	"mqttdoctor/diag"
)

// version is set by the build: -ldflags "-X mqttdoctor/web.version=1.2.3".
var version string

// Version is that of this program: of the build, else of the module, else of the source it was built from.
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}

// newVantage says where probes run from. Without a name it is the machine's.
func newVantage(name string) diag.Vantage {
	if name == "" {
		name, _ = os.Hostname() // none: the field stays empty
	}
	return diag.Vantage{Name: name, OS: runtime.GOOS + "/" + runtime.GOARCH, Version: Version()}
}

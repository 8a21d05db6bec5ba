package diagtest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

//go:embed aedes.mjs
var aedesScript string

// NodeModulesVar is the environment variable that names the folder with the npm packages; unset, it is
// .ci/node_modules of the repository, which .ci/run fills.
const NodeModulesVar = "MQTTDOCTOR_NODE_MODULES"

// NodeModules returns the folder with the npm packages that tests use, and skips the test, or fails it as [Require]
// does, where one of the named packages is not there.
func NodeModules(t testing.TB, packages ...string) string {
	t.Helper()
	dir := os.Getenv(NodeModulesVar)
	if dir == "" {
		dir = filepath.Join(repositoryRoot(t), ".ci", "node_modules")
	}
	for _, name := range packages {
		if _, err := os.Stat(filepath.Join(dir, name, "package.json")); err != nil {
			Missing(t, "needs the npm package %s in %s (run `npm ci` in .ci)", name, dir)
		}
	}
	return dir
}

// repositoryRoot is the folder with go.mod, above the package under test.
func repositoryRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}

// Aedes starts an aedes broker under node. It speaks MQTT 3.1 and 3.1.1, takes any WebSocket path, and has no user.
func Aedes(t testing.TB) *Broker {
	t.Helper()
	node := Require(t, "node", "nodejs")
	modules := NodeModules(t, "aedes", "ws")
	b := &Broker{Name: "aedes", Host: "127.0.0.1", Versions: []string{"3.1", "3.1.1"}, CA: NewCA(t, "aedes test CA")}
	b.CAPEM = b.CA.PEM
	dir := worldDir(t)
	cert := b.CA.Issue(t, CertOptions{})
	writeFile(t, dir, "cert.pem", cert.CertPEM)
	writeFile(t, dir, "key.pem", cert.KeyPEM)
	script := writeFile(t, dir, "aedes.mjs", aedesScript)
	cmd := exec.Command(node, script, dir, modules)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close() })
	p := startProcess(t, "aedes", dir, nil, cmd)
	t.Cleanup(p.stop)
	b.Log = p.log
	var ports struct{ MQTT, MQTTS, WS, WSS int }
	for deadline := time.Now().Add(startLimit); ; time.Sleep(20 * time.Millisecond) {
		line, _, complete := strings.Cut(p.log()+"\n", "\n")
		if complete && json.Unmarshal([]byte(line), &ports) == nil {
			break
		}
		if !p.alive() || time.Now().After(deadline) {
			t.Fatalf("aedes did not start:\n%s", p.log())
		}
	}
	b.MQTT = fmt.Sprintf("mqtt://127.0.0.1:%d", ports.MQTT)
	b.MQTTS = fmt.Sprintf("mqtts://127.0.0.1:%d", ports.MQTTS)
	b.WS = fmt.Sprintf("ws://127.0.0.1:%d/mqtt", ports.WS)
	b.WSS = fmt.Sprintf("wss://127.0.0.1:%d/mqtt", ports.WSS)
	if err := awaitMQTT(startLimit, p.alive, nil, b.URLs()...); err != nil {
		t.Fatalf("aedes: %v\n%s", err, p.log())
	}
	return b
}

package web

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/guard"
	"mqttdoctor/web/signin"
)

// e2ePassword is searched for in every page that the browser gets to see.
const e2ePassword = "e2e-canary-9b1d4c" //nolint:gosec // made up

// e2eConfig is what the browser scripts are told, as JSON in the environment.
type e2eConfig struct {
	Base     string `json:"base"`
	Chromium string `json:"chromium"`
	Modules  string `json:"modules"`
	// Silent accepts connections and says nothing; Broker wants a password, which is not Password; Open lets anybody in.
	Silent string `json:"silent"`
	// Gate leads to Open until somebody posts to Shut.
	Gate   string `json:"gate"`
	Shut   string `json:"shut"`
	Broker string `json:"broker"`
	Open   string `json:"open"`
	OpenWS string `json:"open_ws"`
	// Restart is a broker like Open of which POST to Control+"/down" and "/up" make an end and a new beginning; empty: the
	// script has no use for it.
	Restart string `json:"restart"`
	Control string `json:"control"`
	// Forbidden is a URL whose name leads to an address that the policy refuses.
	Forbidden string `json:"forbidden"`
	Username  string `json:"username"`
	Password  string `json:"password"`
	// Provider is the issuer that people sign in with; empty: they do not.
	Provider string `json:"provider"`
	// Firefox, WebKit (its WebDriver) and MiniBrowser are programs, and Lighthouse the folder of its packages; empty: the script does
	// without.
	Firefox     string `json:"firefox"`
	WebKit      string `json:"webkit"`
	MiniBrowser string `json:"minibrowser"`
	Lighthouse  string `json:"lighthouse"`
	// State is a file in which one script leaves what the next needs.
	State string `json:"state"`
	// Shots is a folder for pictures of what failed; empty: none.
	Shots string `json:"shots"`
}

// startE2E starts a server on the real engine and everything that the scripts look at.
func startE2E(t *testing.T) (*testServer, Config, e2eConfig) {
	t.Helper()
	c := testConfig(t)
	c.Design = true
	return startE2EWith(t, c)
}

// startE2EWith does so with a configuration.
func startE2EWith(t *testing.T, c Config) (*testServer, Config, e2eConfig) {
	t.Helper()
	return startE2EOn(t, c, nil)
}

// startE2EOn does so on an engine of its own; nil: the real one.
func startE2EOn(t *testing.T, c Config, e *Engine) (*testServer, Config, e2eConfig) {
	t.Helper()
	chromium := diagtest.Require(t, "chromium", "chromium-browser", "google-chrome")
	diagtest.Require(t, "node")
	modules := diagtest.NodeModules(t, "playwright-core", "axe-core")
	broker := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt"}, Users: map[string]string{"meter": "right"}})
	open := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt", "ws"}})
	s := startServer(t, c, e)
	return s, c, e2eConfig{Base: s.base, Chromium: chromium, Modules: modules, Silent: diagtest.Peer(t, diagtest.Silent).URL("mqtt"),
		Broker: broker.MQTT, Open: open.MQTT, OpenWS: open.WS, Username: "meter", Password: e2ePassword,
		State: filepath.Join(t.TempDir(), "state.json"), Shots: os.Getenv("MQTTDOCTOR_E2E_SHOTS")}
}

// control lets a script end and start a broker.
func control(t *testing.T, b *diagtest.Broker) string {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /down", func(http.ResponseWriter, *http.Request) { b.Down() })
	mux.HandleFunc("POST /up", func(w http.ResponseWriter, _ *http.Request) {
		if err := b.Up(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

// node runs a script of e2e/ to its end.
func (c e2eConfig) node(t *testing.T, script string) {
	t.Helper()
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), diagtest.Require(t, "node"), filepath.Join("e2e", script))
	cmd.Env = append(os.Environ(), "E2E="+string(data))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	t.Logf("%s:\n%s", script, out)
}

// The whole way in a browser: the form, steps as they come, the report, its link elsewhere, without scripts, in Chinese,
// and after a restart.
func TestBrowserFromAddressToSharedReport(t *testing.T) {
	s, c, e2e := startE2E(t)
	e2e.node(t, "diagnose.mjs")
	address := strings.TrimPrefix(s.base, "http://")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(s.log.String(), e2ePassword) {
		t.Error("the password is in the log")
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		t.Fatal(err)
	}
	c.Listen = address
	startServer(t, c, nil)
	e2e.node(t, "restarted.mjs")
}

// Every page in every state, with an accessibility checker, in both languages and themes, wide and narrow.
func TestBrowserFindsNothingInTheWay(t *testing.T) {
	_, _, e2e := startE2E(t)
	e2e.node(t, "look.mjs")
}

// A run, the same again, and the same once more with the broker gone: the history says that nothing changed, then what did.
func TestBrowserSameAsLastTime(t *testing.T) {
	t.Parallel()
	_, _, e2e := startE2E(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() { // ends with the listener
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go passOn(conn, strings.TrimPrefix(e2e.Open, "mqtt://"))
		}
	}()
	shut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { _ = listener.Close() }))
	t.Cleanup(shut.Close)
	e2e.Gate, e2e.Shut = "mqtt://"+listener.Addr().String(), shut.URL
	e2e.node(t, "history.mjs")
}

// passOn joins a connection with another one, until one of both ends.
func passOn(conn net.Conn, to string) {
	defer conn.Close()
	there, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer there.Close()
	go func() {
		defer there.Close()
		_, _ = io.Copy(there, conn)
	}()
	_, _ = io.Copy(conn, there)
}

// onlyLong skips what takes minutes, or programs of hundreds of megabytes, unless the long tests were asked for.
func onlyLong(t *testing.T) {
	t.Helper()
	if os.Getenv("MQTTDOCTOR_LONG") == "" {
		t.Skip("a long test: set MQTTDOCTOR_LONG=1")
	}
}

// Every kind of page as Lighthouse judges it.
func TestBrowserLighthouse(t *testing.T) {
	onlyLong(t)
	_, _, e2e := startE2E(t)
	e2e.Lighthouse = filepath.Join(e2e.Modules, "..", "lighthouse", "node_modules")
	if _, err := os.Stat(filepath.Join(e2e.Lighthouse, "lighthouse", "package.json")); err != nil {
		diagtest.Missing(t, "needs lighthouse (run `npm ci` in .ci/lighthouse)")
	}
	e2e.node(t, "lighthouse.mjs")
}

// The pages, and a diagnosis, in Firefox.
func TestBrowserFirefox(t *testing.T) {
	onlyLong(t)
	_, _, e2e := startE2E(t)
	e2e.Modules = diagtest.NodeModules(t, "ws", "axe-core")
	e2e.Firefox = diagtest.Require(t, "firefox-esr", "firefox")
	e2e.node(t, "firefox.mjs")
}

// The same in the engine of Safari.
func TestBrowserWebKit(t *testing.T) {
	onlyLong(t)
	_, _, e2e := startE2E(t)
	e2e.Modules = diagtest.NodeModules(t, "axe-core")
	e2e.WebKit = diagtest.Require(t, "WebKitWebDriver")
	diagtest.Require(t, "xvfb-run")
	found, err := filepath.Glob("/usr/lib/*/webkit2gtk-4.*/MiniBrowser")
	if err != nil || len(found) == 0 {
		diagtest.Missing(t, "needs WebKitGTK's MiniBrowser (package webkit2gtk-driver)")
	}
	e2e.MiniBrowser = found[0]
	e2e.node(t, "webkit.mjs")
}

// The console: through the server and directly, what goes wrong, and what a page must not do with secrets.
func TestBrowserConsole(t *testing.T) {
	s, _, e2e := startE2E(t)
	restart := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt"}})
	e2e.Restart, e2e.Control = restart.MQTT, control(t, restart)
	e2e.node(t, "console.mjs")
	if strings.Contains(s.log.String(), e2ePassword) {
		t.Error("the password is in the log")
	}
}

// What the console's scripts decode.
func TestConsoleScripts(t *testing.T) {
	e2eConfig{Modules: diagtest.NodeModules(t, "mqtt-packet")}.node(t, "console-units.mjs")
}

// The console's packets in a report.
func TestBrowserAttachesPackets(t *testing.T) {
	_, _, e2e := startE2E(t)
	e2e.node(t, "attach.mjs")
}

// What the console can find out about a direct connection that fails, and the ways to a diagnosis and back.
func TestBrowserExplainsDirectFailures(t *testing.T) {
	_, _, e2e := startE2E(t)
	e2e.node(t, "direct.mjs")
}

// What broken brokers, and targets that the policy refuses, do to the console.
func TestBrowserWithBrokenBrokers(t *testing.T) {
	c := testConfig(t)
	c.Policy, c.AllowCIDR = guard.Public, []string{"127.0.0.0/8"}
	policy, err := c.TargetPolicy()
	if err != nil {
		t.Fatal(err)
	}
	e := NewEngine(policy, "test", nil)
	dial := e.Dial
	e.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == "metadata.test:80" {
			address = "169.254.169.254:80"
		}
		return dial(ctx, network, address)
	}
	s, _, e2e := startE2EOn(t, c, e)
	e2e.Forbidden = "mqtt://metadata.test:80"
	s.server.consoles.mu.Lock()
	s.server.consoles.stall = 3 * time.Second // a page that is busy takes nothing for a moment, too
	s.server.consoles.mu.Unlock()
	e2e.node(t, "broken.mjs")
}

// A report in other hands.
func TestBrowserShares(t *testing.T) {
	_, _, e2e := startE2E(t)
	e2e.node(t, "share.mjs")
}

// People who sign in with a provider that others wrote, and what administrators see and set.
func TestBrowserSignsIn(t *testing.T) {
	c := testConfig(t)
	c.SignIn.Method, c.SignIn.Issuer, c.SignIn.ClientID, c.SignIn.Title = signin.OIDC, realProvider(t), "doctor", "Our Login"
	c.SignIn.ClientSecret, c.SignIn.Scopes = diag.NewSecret("CANARY-client"), []string{"profile", "email", "groups"}
	c.SignIn.Allow, c.SignIn.Admins = []string{"@here.test"}, []string{"group:chiefs"}
	s, _, e2e := startE2EWith(t, c)
	e2e.Provider = c.SignIn.Issuer
	e2e.node(t, "signin.mjs")
	if log := s.log.String(); strings.Contains(log, "CANARY") || strings.Contains(log, e2ePassword) {
		t.Error("a secret is in the log")
	}
}

// realProvider starts the OpenID Connect provider of testdata/provider.mjs and returns its issuer.
func realProvider(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), diagtest.Require(t, "node"), filepath.Join("testdata", "provider.mjs"))
	cmd.Env = append(os.Environ(), "MODULES="+diagtest.NodeModules(t, "oidc-provider"))
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait() //nolint:errcheck // it ends with its input, or with the test
	})
	issuer, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the provider does not start: %v", err)
	}
	return strings.TrimSpace(issuer)
}

// The control that takes a file.
func TestBrowserTakesFiles(t *testing.T) {
	_, _, e2e := startE2E(t)
	e2e.node(t, "files.mjs")
}

// How soon pages are painted on a slow machine: printed, and never judged, as time is the machine's.
func TestBrowserFirstPaint(t *testing.T) {
	onlyLong(t)
	_, _, e2e := startE2E(t)
	e2e.node(t, "paint.mjs")
}

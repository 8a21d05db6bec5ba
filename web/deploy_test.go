package web

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"mqttdoctor/diag"
	"mqttdoctor/web/archive"
)

// What the files for administrators set is set: every variable that they name is one of the program's.
func TestDeploymentFilesNameRealSettings(t *testing.T) {
	var help strings.Builder
	_, _ = ParseConfig([]string{"--help"}, func(string) string { return "" }, &help)
	files, err := filepath.Glob("../.deploy/*")
	if err != nil || len(files) < 8 {
		t.Fatal(files, err)
	}
	variable := regexp.MustCompile(`\bMQTTDOCTOR_[A-Z_]*[A-Z]`)
	for _, file := range append(files, "../Dockerfile", "../README.md") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range variable.FindAllString(string(data), -1) {
			// The rest is of `mqttdoctor check` and of the tests.
			if !strings.Contains(help.String(), name) && name != "MQTTDOCTOR_PASSWORD" && name != "MQTTDOCTOR_LONG" && name != "MQTTDOCTOR_REQUIRE_ALL" {
				t.Errorf("%s names %s, which nothing reads", file, name)
			}
		}
	}
}

type composition struct {
	Services map[string]struct {
		Environment map[string]string
		DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
		Volumes     []string
		Networks    []string
		Ports       []string
		ReadOnly    bool `yaml:"read_only"`
		Healthcheck struct{ Test []string }
	}
	Networks, Volumes map[string]any
}

func readComposition(t *testing.T, file string) (c composition) {
	t.Helper()
	data, err := os.ReadFile("../.deploy/" + file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, &c); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for name, s := range c.Services {
		for _, v := range s.Volumes {
			if volume, _, _ := strings.Cut(v, ":"); !has(c.Volumes, volume) {
				t.Errorf("%s: %s has no volume %s", file, name, volume)
			}
		}
		for _, n := range s.Networks {
			if !has(c.Networks, n) {
				t.Errorf("%s: %s has no network %s", file, name, n)
			}
		}
	}
	return c
}

func has(m map[string]any, key string) bool {
	_, ok := m[key]
	return ok
}

// There is no Docker in the tests: the settings that Compose passes on are parsed as the program does.
func TestComposeFilesFitTheProgram(t *testing.T) {
	for _, file := range []string{"compose.yaml", "compose.sqlite.yaml"} {
		server := readComposition(t, file).Services["mqttdoctor"]
		// As the Dockerfile sets them.
		set := map[string]string{"MQTTDOCTOR_LISTEN": "0.0.0.0:8080", "MQTTDOCTOR_DATA": "/data"}
		for name, value := range server.Environment {
			set[name] = regexp.MustCompile(`\$\{[^}]*\}`).ReplaceAllString(value, "0123456789abcdef")
		}
		c, err := ParseConfig(nil, func(name string) string { return set[name] }, io.Discard)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		_, port, _ := net.SplitHostPort(c.Listen)
		if len(server.Ports) != 1 || !strings.HasSuffix(server.Ports[0], ":"+port) || !server.ReadOnly || c.Policy != "intranet" {
			t.Errorf("%s: %+v", file, server)
		}
	}
	with := readComposition(t, "compose.yaml")
	server, database := with.Services["mqttdoctor"], with.Services["database"]
	address := server.Environment["MQTTDOCTOR_DATABASE_URL"]
	name := "postgres://" + database.Environment["POSTGRES_USER"] + ":${POSTGRES_PASSWORD"
	if !strings.HasPrefix(address, name) || !strings.Contains(address, "@database:5432/"+database.Environment["POSTGRES_DB"]) {
		t.Errorf("the server looks for its database at %s", address)
	}
	if err := archive.CheckPostgresURL(diag.NewSecret(regexp.MustCompile(`\$\{[^}]*\}`).ReplaceAllString(address, "0123456789abcdef"))); err != nil {
		t.Error(err)
	}
	if server.DependsOn["database"].Condition != "service_healthy" || len(database.Healthcheck.Test) == 0 || len(database.Ports) != 0 {
		t.Error("the server does not wait for its database, or others reach that")
	}
}

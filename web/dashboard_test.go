package web

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/client_golang/prometheus"
)

// described is what /metrics can hold: names of series, with the labels of each.
func described(m *meter) map[string][]string {
	descs := make(chan *prometheus.Desc, 1000)
	m.registry.Describe(descs)
	close(descs)
	about := regexp.MustCompile(`fqName: "([^"]+)", help: ".*", constLabels: \{(.*)\}, variableLabels: \{([^}]*)\}`)
	series := map[string][]string{}
	for d := range descs {
		found := about.FindStringSubmatch(d.String())
		if found == nil {
			continue
		}
		labels := strings.FieldsFunc(found[3], func(r rune) bool { return r == ',' })
		for _, constant := range regexp.MustCompile(`(\w+)=`).FindAllStringSubmatch(found[2], -1) {
			labels = append(labels, constant[1])
		}
		series[found[1]] = labels
	}
	for name, labels := range series {
		if strings.HasPrefix(name, "mqttdoctor_") && strings.HasSuffix(name, "_seconds") { // the histograms
			series[name+"_bucket"] = append(slices.Clone(labels), "le")
			series[name+"_count"], series[name+"_sum"] = labels, labels
		}
	}
	return series
}

var (
	metricName = regexp.MustCompile(`\b(?:mqttdoctor|process|go)_[a-z_]+`)
	selector   = regexp.MustCompile(`\b((?:mqttdoctor|process|go)_[a-z_]+)\{([^}]*)\}`)
	labelName  = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"`)
	grouping   = regexp.MustCompile(`\bby \(([^)]*)\)`)
)

// checkExpression tells of metrics and labels that there are none of. job and instance come from Prometheus.
func checkExpression(t *testing.T, series map[string][]string, where, expr string) {
	t.Helper()
	given := []string{"job", "instance"}
	var all []string
	for _, name := range metricName.FindAllString(expr, -1) {
		labels, ok := series[name]
		if !ok {
			t.Errorf("%s: there is no metric %s", where, name)
		}
		all = append(all, labels...)
	}
	for _, s := range selector.FindAllStringSubmatch(expr, -1) {
		for _, l := range labelName.FindAllStringSubmatch(s[2], -1) {
			if !slices.Contains(given, l[1]) && !slices.Contains(series[s[1]], l[1]) {
				t.Errorf("%s: %s has no label %s", where, s[1], l[1])
			}
		}
	}
	for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
		for l := range strings.SplitSeq(g[1], ", ") {
			if !slices.Contains(given, l) && !slices.Contains(all, l) {
				t.Errorf("%s: no metric of %s has a label %s", where, expr, l)
			}
		}
	}
}

func TestDashboardShowsWhatThereIs(t *testing.T) {
	data, err := os.ReadFile("../.deploy/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title, Type, Description string
			GridPos                  struct{ X, Y, W, H int }
			Targets                  []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Name, Definition string }
		}
	}
	if err := json.Unmarshal(data, &board); err != nil {
		t.Fatal(err)
	}
	series := described(newMeter())
	taken := map[[2]int]string{}
	for _, p := range board.Panels {
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("%s shows or says nothing", p.Title)
		}
		for _, q := range p.Targets {
			checkExpression(t, series, p.Title, q.Expr)
		}
	}
	for _, v := range board.Templating.List {
		checkExpression(t, series, v.Name, v.Definition)
	}
	for name := range series {
		if _, part := series[strings.TrimSuffix(strings.TrimSuffix(name, "_sum"), "_count")+"_bucket"]; part && !strings.HasSuffix(name, "_bucket") {
			continue // of a histogram whose buckets are shown
		}
		if strings.HasPrefix(name, "mqttdoctor_") && !strings.Contains(string(data), name) {
			t.Errorf("no panel shows %s", name)
		}
	}
}

func TestAlertsAskForWhatThereIs(t *testing.T) {
	data, err := os.ReadFile("../.deploy/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(data, &rules); err != nil {
		t.Fatal(err)
	}
	if len(rules.Groups) != 1 || len(rules.Groups[0].Rules) == 0 {
		t.Fatal("no alerts")
	}
	series := described(newMeter())
	for _, r := range rules.Groups[0].Rules {
		checkExpression(t, series, r.Alert, r.Expr)
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s says nothing", r.Alert)
		}
	}
}

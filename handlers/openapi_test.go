package handlers

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/trace"
)

type openAPIDocument struct {
	OpenAPI string
	Info    struct{ Title, Version string }
	Servers []struct{ URL string }
	Paths   map[string]map[string]json.RawMessage

	Components struct {
		Schemas map[string]struct {
			Properties           map[string]json.RawMessage
			AdditionalProperties any
			Required             []string
		}
	}
}

func readOpenAPI(t *testing.T) openAPIDocument {
	t.Helper()
	var doc openAPIDocument
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestOpenAPIDescribesEveryRouteAndNoOther(t *testing.T) {
	doc := readOpenAPI(t)
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") || doc.Info.Title == "" || doc.Info.Version == "" ||
		len(doc.Servers) != 1 || doc.Servers[0].URL != apiPrefix {
		t.Errorf("%s %+v %+v", doc.OpenAPI, doc.Info, doc.Servers)
	}
	described := map[string]bool{}
	for path, operations := range doc.Paths {
		for method, raw := range operations {
			if method == "parameters" || method == "servers" {
				continue
			}
			described[strings.ToUpper(method)+" "+path] = true
			var operation struct {
				OperationID string
				Summary     string
				Responses   map[string]json.RawMessage
			}
			if err := json.Unmarshal(raw, &operation); err != nil || operation.OperationID == "" || operation.Summary == "" || len(operation.Responses) == 0 {
				t.Errorf("%s %s: %+v, %v", method, path, operation, err)
			}
		}
	}
	r := chi.NewRouter()
	New(Deps{}).Register(r)
	served := map[string]bool{}
	if err := chi.Walk(r, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if path, ok := strings.CutPrefix(route, apiPrefix); ok {
			served[method+" "+path] = true
		} else if path, ok := strings.CutPrefix(route, "/api"); ok { // its own entry in the document names the server /api
			served[method+" "+path] = true
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(described, served) {
		t.Errorf("described %v\nserved    %v", slices.Sorted(maps.Keys(described)), slices.Sorted(maps.Keys(served)))
	}
}

// TestOpenAPIHasTheFieldsOfTheTypes fails where a field is added to one and not to the other.
func TestOpenAPIHasTheFieldsOfTheTypes(t *testing.T) {
	doc := readOpenAPI(t)
	for name, typ := range map[string]reflect.Type{
		"RunInput": reflect.TypeFor[diag.RunInput](), "TargetInput": reflect.TypeFor[diag.TargetInput](),
		"TLSInput": reflect.TypeFor[diag.TLSInput](), "WSInput": reflect.TypeFor[diag.WSInput](),
		"TopicsInput": reflect.TypeFor[diag.TopicsInput](), "PlanInput": reflect.TypeFor[diag.PlanInput](),
		"BurstInput": reflect.TypeFor[diag.BurstInput](), "RerunInput": reflect.TypeFor[rerunBody](),
		"Started": reflect.TypeFor[startedAnswer](), "Report": reflect.TypeFor[catalogue.ReportView](),
		"Finding": reflect.TypeFor[catalogue.FindingView](), "Step": reflect.TypeFor[catalogue.StepView](),
		"Event": reflect.TypeFor[catalogue.EventView](), "Evidence": reflect.TypeFor[catalogue.EvidenceView](),
		"Fix": reflect.TypeFor[catalogue.FixView](), "RuledOut": reflect.TypeFor[catalogue.RuledOutView](),
		"Check": reflect.TypeFor[catalogue.CheckView](), "Cause": reflect.TypeFor[catalogue.CauseView](),
		"Scenario": reflect.TypeFor[demoScenario](), "ConsoleInput": reflect.TypeFor[consoleInput](),
		"Console": reflect.TypeFor[consoleAnswer](), "Trace": reflect.TypeFor[traceFile](),
		"TracePacket": reflect.TypeFor[trace.Frame](), "TraceWarning": reflect.TypeFor[trace.WarningText](),
		"Note": reflect.TypeFor[diag.Note](), "TraceInput": reflect.TypeFor[traceInput](), "AttachedTrace": reflect.TypeFor[trace.Attached](),
		"Attachment": reflect.TypeFor[attachedAnswer](), "RunLine": reflect.TypeFor[mineLine](),
		"RequestInput": reflect.TypeFor[RequestInput](), "Request": reflect.TypeFor[requestAnswer](), "RequestRun": reflect.TypeFor[requestRun](),
		"Asked": reflect.TypeFor[askedAnswer](), "HelpInput": reflect.TypeFor[helpBody](), "Wish": reflect.TypeFor[Wish](),
		"History": reflect.TypeFor[historyAnswer](), "Comparison": reflect.TypeFor[comparisonAnswer](), "Changes": reflect.TypeFor[catalogue.ComparisonView](),
		"Unseen": reflect.TypeFor[catalogue.UnseenView](), "FindingChange": reflect.TypeFor[catalogue.FindingChangeView](),
		"StepChange": reflect.TypeFor[catalogue.StepChangeView](), "FactChange": reflect.TypeFor[catalogue.FactChangeView](),
		"TimingChange": reflect.TypeFor[catalogue.TimingChangeView](), "Share": reflect.TypeFor[shareAnswer](), "ShareInput": reflect.TypeFor[shareBody](),
	} {
		want := slices.Sorted(maps.Keys(fieldsOf(typ)))
		got := slices.Sorted(maps.Keys(doc.Components.Schemas[name].Properties))
		if !slices.Equal(got, want) {
			t.Errorf("%s: described %v, the type has %v", name, got, want)
		}
		if strings.HasSuffix(name, "Input") && doc.Components.Schemas[name].AdditionalProperties != false {
			t.Errorf("%s: unknown fields are refused, and it does not say so", name)
		}
	}
}

// TestOpenAPIReferencesExist looks for the names in every "$ref".
func TestOpenAPIReferencesExist(t *testing.T) {
	doc := readOpenAPI(t)
	var raw any
	if err := json.Unmarshal(openAPI, &raw); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				used[strings.TrimPrefix(ref, "#/components/schemas/")] = true
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(raw)
	for name := range used {
		if _, ok := doc.Components.Schemas[name]; !ok {
			t.Errorf("no schema %s", name)
		}
	}
	for name := range doc.Components.Schemas {
		if !used[name] {
			t.Errorf("schema %s is used nowhere", name)
		}
	}
}

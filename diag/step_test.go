package diag

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// Every kind of observation survives storing, so that old runs can be concluded again.
func TestObservationsSurviveStoring(t *testing.T) {
	for kind, empty := range observationKinds {
		o := empty()
		fill(reflect.ValueOf(o).Elem(), 0)
		step := Step{ID: "x", Check: "x", Status: StatusPassed, Duration: time.Second, Observation: o}
		data, err := json.Marshal(step)
		if err != nil {
			t.Fatal(kind, err)
		}
		var back Step
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(kind, err)
		}
		if !reflect.DeepEqual(back.Observation, o) {
			t.Errorf("%s came back as %+v, was %+v", kind, back.Observation, o)
		}
		if len(back.Observation.Facts()) == 0 {
			t.Errorf("%s lists nothing of itself", kind)
		}
		for _, f := range back.Observation.Facts() {
			if f.Key == "" || f.Value == "" {
				t.Errorf("%s lists %+v", kind, f)
			}
		}
	}
}

// fill gives every field a value that is not its zero.
func fill(v reflect.Value, depth int) {
	if depth > 3 {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), depth+1)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth+1)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key := reflect.New(v.Type().Key()).Elem()
		value := reflect.New(v.Type().Elem()).Elem()
		fill(key, depth+1)
		fill(value, depth+1)
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		v.SetUint(1)
	}
}

func TestUnknownObservationIsLeftOut(t *testing.T) {
	var s Step
	if err := json.Unmarshal([]byte(`{"id":"x","observation_kind":"of.the.future","observation":{"a":1}}`), &s); err != nil || s.Observation != nil {
		t.Fatal(s, err)
	}
}

package catalogue

import "mqttdoctor/diag"

// TableView is a measured table in words.
type TableView struct {
	Title   string       `json:"title"`
	Help    string       `json:"help,omitempty"`
	Step    string       `json:"step"`
	Plot    diag.Plot    `json:"plot"`
	Columns []ColumnView `json:"columns"`
	Marks   []MarkView   `json:"marks,omitempty"`
}

// ColumnView is a column with its label: values are numbers (null: not measured), texts are words.
type ColumnView struct {
	Key    diag.EvidenceKey `json:"key"`
	Label  string           `json:"label"`
	Help   string           `json:"help,omitempty"`
	Unit   string           `json:"unit,omitempty"`
	Values diag.Numbers     `json:"values,omitempty"`
	Texts  []string         `json:"texts,omitempty"`
}

// MarkView is an event along the first column.
type MarkView struct {
	At    float64 `json:"at"`
	Label string  `json:"label"`
	Text  string  `json:"text,omitempty"`
}

// tables are the measurements of the steps by name, with the step's subject behind an "@" where it has one.
func (w *writer) tables(steps []diag.Step) map[string]TableView {
	all := map[string]TableView{}
	for _, s := range steps {
		measured, ok := s.Observation.(diag.Measured)
		if !ok {
			continue
		}
		for _, t := range measured.Tables() {
			name := t.Name
			if s.Subject != "" {
				name += "@" + s.Subject
			}
			v := w.table(t, s.ID)
			if s.Subject != "" { // several steps measure the same: their titles must not be the same
				v.Title += " · " + s.Subject
			}
			all[name] = v
		}
	}
	return all
}

func (w *writer) table(t diag.Table, step string) TableView {
	v := TableView{Step: step, Plot: t.Plot, Columns: []ColumnView{}}
	if v.Title, v.Help = w.label("table." + t.Name); v.Title == "" {
		w.missing("table." + t.Name + ": no title")
		v.Title = t.Name
	}
	for _, c := range t.Columns {
		cv := ColumnView{Key: c.Key, Values: c.Numbers}
		cv.Label, cv.Help = w.label("evidence." + string(c.Key))
		if c.Suffix != "" {
			cv.Label += " · " + c.Suffix
		}
		if c.Unit != "" {
			cv.Unit = w.word("unit."+c.Unit, c.Unit)
		}
		for _, word := range c.Words {
			cv.Texts = append(cv.Texts, w.value(c.Key, word))
		}
		v.Columns = append(v.Columns, cv)
	}
	for _, m := range t.Marks {
		mv := MarkView{At: m.At, Text: w.value(m.Key, m.Value)}
		mv.Label, _ = w.label("evidence." + string(m.Key))
		v.Marks = append(v.Marks, mv)
	}
	return v
}

// value is a fact's value in words, where the key has a group of them.
func (w *writer) value(key diag.EvidenceKey, value string) string {
	if group := w.l.texts["evidence."+string(key)].values; group != "" {
		return w.word("value."+group+"."+value, clean(value))
	}
	return clean(value)
}

package catalogue

import (
	"slices"
	"strings"

	"mqttdoctor/diag"
)

// guidesFile holds the sections of the guides, in each language, and in facts which symptom has which.
const guidesFile = "guides.yaml"

// guideSection is a question that no probe can answer, and how to answer it by hand.
type guideSection struct {
	title, text template
	fixes       []fix
}

type guideFile struct {
	Title string    `yaml:"title"`
	Text  string    `yaml:"text"`
	Fixes []fixFile `yaml:"fixes"`
}

func (l *loader) readGuides(lang Lang, file string) {
	sections := map[string]guideFile{}
	for _, name := range l.decode(file, &sections) {
		f, at := sections[name], "guide."+name
		l.c.langs[lang].guides[name] = guideSection{title: l.text(lang, file, at+".title", f.Title),
			text: l.text(lang, file, at+".text", f.Text), fixes: l.fixes(lang, file, at+".fixes", f.Fixes)}
	}
}

func (l *loader) readGuideLists(file string) {
	lists := map[diag.Symptom][]string{}
	for _, symptom := range l.decode(file, &lists) {
		names := lists[diag.Symptom(symptom)]
		if !slices.Contains(diag.Symptoms, diag.Symptom(symptom)) || len(names) == 0 {
			l.fail(file, symptom, "no such symptom, or no sections")
		}
		for _, name := range names {
			if _, ok := l.c.langs[English].guides[name]; !ok && !l.unread {
				l.fail(file, symptom, "no section %s", name)
			}
		}
	}
	for _, symptom := range diag.Symptoms {
		if len(lists[symptom]) == 0 {
			l.fail(file, string(symptom), "missing")
		}
	}
	l.c.guides = lists
}

// GuideView is what to look at by hand for a symptom.
type GuideView struct {
	Symptom  diag.Symptom
	Sections []GuideSectionView
}

// GuideSectionView is one question, with commands for this target; facts that are not known stand as {names}.
type GuideSectionView struct {
	Name, Title, Text string
	Fixes             []FixView
}

// Guide is the guide of a symptom, filled in for a target, whose URL may be empty.
func Guide(symptom diag.Symptom, target diag.TargetInput, lang Lang) GuideView {
	w := newWriter(lang, target)
	v := GuideView{Symptom: symptom}
	for _, name := range w.c.guides[symptom] {
		s := w.l.guides[name]
		sv := GuideSectionView{Name: name, Title: s.title.open(), Text: s.text.open()}
		for _, f := range s.fixes {
			sv.Fixes = append(sv.Fixes, w.guideFix(f))
		}
		v.Sections = append(v.Sections, sv)
	}
	return v
}

// guideFix fills in what is known. A command that lacks a fact stays, with the fact's name in its place: the reader knows it.
func (w *writer) guideFix(f fix) FixView {
	quote := quotePOSIX
	if f.reader == "windows" {
		quote = quoteWindows
	}
	v := FixView{For: f.reader, Text: f.text.open(), Commands: []string{}}
	for _, command := range f.commands {
		v.Commands = append(v.Commands, command.commandOrPlaces(w.fact(nil), quote))
	}
	return v
}

// commandOrPlaces is the command with what is known of its facts, and the names of the others in their places.
func (t template) commandOrPlaces(fact func(string) string, quote func(string) (string, bool)) string {
	var b strings.Builder
	for _, p := range t.parts {
		b.WriteString(p.words)
		if p.fact == "" {
			continue
		}
		if value, ok := quote(fact(p.fact)); ok {
			b.WriteString(value)
		} else {
			b.WriteString("{" + p.fact + "}")
		}
	}
	return b.String()
}

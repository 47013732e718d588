// Package templates checks template messages against the templates of an account: whether a message
// has the parameters that its template needs. Flows are checked against a project's copy of the
// templates, the simulator answers with Meta's errors, and Use writes a message for a template.
package templates

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"facteur/actions"
	"facteur/actions/whatsapp/graph"
	"facteur/flow/schema"
)

// Approved is the status of a template that can be sent.
const Approved = "APPROVED"

// A Definition is a template in one language, as the account has it: what a message fills
// in. Its fields are those of a file in templates/.
type Definition struct {
	Name            string `json:"name"`
	Language        string `json:"language"`
	Category        string `json:"category,omitempty"`         // MARKETING, UTILITY, AUTHENTICATION
	Status          string `json:"status,omitempty"`           // only APPROVED can be sent
	RejectedReason  string `json:"rejected_reason,omitempty"`  // of REJECTED
	ParameterFormat string `json:"parameter_format,omitempty"` // POSITIONAL or NAMED
	Connection      string `json:"connection,omitempty"`       // which connection it was pulled through
	Components      []any  `json:"components"`                 // in Meta's form

	shape templateShape
}

// Read reads a file that Encode wrote. What Meta adds to templates does no harm.
func Read(text []byte) (*Definition, error) {
	v, err := actions.DecodeJSON(text)
	if err != nil {
		return nil, fmt.Errorf("it is not JSON: %w", err)
	}
	return definition(schema.NewValue(v, nil))
}

// definition reads a template as the API gives it, without what changes by itself.
func definition(v schema.Value) (*Definition, error) {
	d := &Definition{
		Name:            graph.Word(v.Get("name")),
		Language:        graph.Word(v.Get("language")),
		Category:        strings.ToUpper(graph.Word(v.Get("category"))),
		Status:          strings.ToUpper(graph.Word(v.Get("status"))),
		ParameterFormat: strings.ToUpper(graph.Word(v.Get("parameter_format"))),
		Connection:      graph.Word(v.Get("connection")),
		Components:      []any{},
	}
	if reason := graph.Word(v.Get("rejected_reason")); reason != "NONE" {
		d.RejectedReason = reason
	}
	if components, ok := v.Get("components").List(); ok {
		d.Components, _ = withoutExampleURLs(components).([]any)
	}
	if d.Name == "" || d.Language == "" {
		return nil, fmt.Errorf("it has no name or no language, so it is not a template")
	}
	d.shape = templateShapeOf(d.Components)
	if d.Category == "AUTHENTICATION" && d.shape.hasBody && len(d.shape.body) == 0 {
		d.shape.body = []string{"1"} // Meta writes the text, and puts the code in
	}
	return d, nil
}

// withoutExampleURLs leaves out the addresses of example files, which are others each time.
func withoutExampleURLs(v any) any {
	switch v := v.(type) {
	case map[string]any:
		kept := make(map[string]any, len(v))
		for name, x := range v {
			if name == "header_handle" || name == "header_url" {
				continue
			}
			if x = withoutExampleURLs(x); name == "example" && isEmptyObject(x) {
				continue
			}
			kept[name] = x
		}
		return kept
	case []any:
		kept := make([]any, len(v))
		for i, x := range v {
			kept[i] = withoutExampleURLs(x)
		}
		return kept
	}
	return v
}

func isEmptyObject(v any) bool {
	object, ok := v.(map[string]any)
	return ok && len(object) == 0
}

// Encode returns the text of the template's file, which is the same for the same template.
func (d *Definition) Encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(d)
	return b.Bytes(), err
}

// FileName is the name of the template's file: order_shipped.fr.json.
func (d *Definition) FileName() string { return d.Name + "." + d.Language + ".json" }

// A Set is the templates that are known, sorted by name and language.
type Set struct{ all []*Definition }

// NewSet collects templates. Two of one name and language are a mistake.
func NewSet(all []*Definition) (*Set, error) {
	s := &Set{slices.Clone(all)}
	slices.SortFunc(s.all, func(a, b *Definition) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Language, b.Language))
	})
	for i := 1; i < len(s.all); i++ {
		if a, b := s.all[i-1], s.all[i]; a.Name == b.Name && a.Language == b.Language {
			return nil, fmt.Errorf("the template %s occurs twice in %s", a.Name, a.Language)
		}
	}
	return s, nil
}

// All returns the templates, sorted by name and language.
func (s *Set) All() []*Definition { return slices.Clone(s.all) }

// Named returns a template in all its languages, sorted; none when there is no such
// template.
func (s *Set) Named(name string) []*Definition {
	from, _ := slices.BinarySearchFunc(s.all, name, func(d *Definition, name string) int { return strings.Compare(d.Name, name) })
	to := from
	for to < len(s.all) && s.all[to].Name == name {
		to++
	}
	return s.all[from:to:to]
}

// names are those of the templates, each once.
func (s *Set) names() []string {
	var names []string
	for _, d := range s.all {
		names = append(names, d.Name)
	}
	return slices.Compact(names)
}

func languages(of []*Definition) []string {
	var codes []string
	for _, d := range of {
		codes = append(codes, d.Language)
	}
	return codes
}

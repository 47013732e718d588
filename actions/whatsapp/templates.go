package whatsapp

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

// A TemplateDefinition is a template in one language, as the account has it: what a
// Template, the message, fills in. Its fields are those of a file in templates/.
type TemplateDefinition struct {
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

// ReadTemplate reads a file that Encode wrote. What Meta adds to templates does no harm.
func ReadTemplate(text []byte) (*TemplateDefinition, error) {
	v, err := actions.DecodeJSON(text)
	if err != nil {
		return nil, fmt.Errorf("it is no JSON: %w", err)
	}
	return definition(schema.NewValue(v, nil))
}

// definition reads a template as the API gives it, without what changes by itself.
func definition(v schema.Value) (*TemplateDefinition, error) {
	d := &TemplateDefinition{
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
		d.Components, _ = lasting(components).([]any)
	}
	if d.Name == "" || d.Language == "" {
		return nil, fmt.Errorf("it has no name or no language, so it is no template")
	}
	d.shape = shapeOf(d.Components)
	if d.Category == "AUTHENTICATION" && d.shape.hasBody && len(d.shape.body) == 0 {
		d.shape.body = []string{"1"} // Meta writes the text, and puts the code in
	}
	return d, nil
}

// lasting leaves out the addresses of example files, which are others each time.
func lasting(v any) any {
	switch v := v.(type) {
	case map[string]any:
		kept := make(map[string]any, len(v))
		for name, x := range v {
			if name == "header_handle" || name == "header_url" {
				continue
			}
			if x = lasting(x); name == "example" && isEmptyObject(x) {
				continue
			}
			kept[name] = x
		}
		return kept
	case []any:
		kept := make([]any, len(v))
		for i, x := range v {
			kept[i] = lasting(x)
		}
		return kept
	}
	return v
}

func isEmptyObject(v any) bool {
	object, ok := v.(map[string]any)
	return ok && len(object) == 0
}

// Encode gives the text of the template's file: the same for the same template.
func (d *TemplateDefinition) Encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(d)
	return b.Bytes(), err
}

// FileName is the name of the template's file: order_shipped.fr.json.
func (d *TemplateDefinition) FileName() string { return d.Name + "." + d.Language + ".json" }

// Templates are the templates that are known, sorted by name and language.
type Templates struct{ all []*TemplateDefinition }

// NewTemplates collects templates. Two of one name and language are a mistake.
func NewTemplates(all []*TemplateDefinition) (*Templates, error) {
	t := &Templates{slices.Clone(all)}
	slices.SortFunc(t.all, func(a, b *TemplateDefinition) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Language, b.Language))
	})
	for i := 1; i < len(t.all); i++ {
		if a, b := t.all[i-1], t.all[i]; a.Name == b.Name && a.Language == b.Language {
			return nil, fmt.Errorf("the template %s is there twice in %s", a.Name, a.Language)
		}
	}
	return t, nil
}

// All returns the templates, sorted by name and language.
func (t *Templates) All() []*TemplateDefinition { return slices.Clone(t.all) }

// Named returns a template in all its languages, sorted; none when there is no such
// template.
func (t *Templates) Named(name string) []*TemplateDefinition {
	from, _ := slices.BinarySearchFunc(t.all, name, func(d *TemplateDefinition, name string) int { return strings.Compare(d.Name, name) })
	to := from
	for to < len(t.all) && t.all[to].Name == name {
		to++
	}
	return t.all[from:to:to]
}

// names are those of the templates, each once.
func (t *Templates) names() []any {
	var names []any
	for i, d := range t.all {
		if i == 0 || t.all[i-1].Name != d.Name {
			names = append(names, d.Name)
		}
	}
	return names
}

func languages(of []*TemplateDefinition) []string {
	var codes []string
	for _, d := range of {
		codes = append(codes, d.Language)
	}
	return codes
}

package templates

import (
	"fmt"
	"strings"

	"facteur/actions/whatsapp/graph"
	"facteur/flow/schema"
)

// NoTemplate is how Meta refuses a template that is not there, or not in a language.
func NoTemplate(name, language string) *graph.Error {
	return &graph.Error{Code: 132001, Title: "Template name does not exist in the translation",
		Details: fmt.Sprintf("template name (%s) does not exist in %s", name, language)}
}

// Refuse tells how Meta refuses a template message, the object that stands under
// `template`, because it does not fit the template; nil when it fits. What the rules
// of messages find must be right already.
func (d *Definition) Refuse(message map[string]any) *graph.Error {
	switch d.Status {
	case "", Approved:
	case "PAUSED":
		return &graph.Error{Code: 132015, Title: "Template is Paused", Details: fmt.Sprintf("template (%s) in %s is paused due to low quality", d.Name, d.Language)}
	case "DISABLED":
		return &graph.Error{Code: 132016, Title: "Template is Disabled", Details: fmt.Sprintf("template (%s) in %s is disabled", d.Name, d.Language)}
	default:
		return NoTemplate(d.Name, d.Language)
	}
	c := &check{}
	m := schema.NewValue(message, nil)
	f := checker{check: c, template: d, named: d.named()}
	f.components(d.shape, m, m.Get("components"), "")
	switch {
	case len(c.refused) > 0:
		return &c.refused[0]
	case len(c.found) == 0:
		return nil
	}
	e := &graph.Error{Code: 132018, Title: titleOf(132018), Details: c.found[0].Error()}
	if c.found[0].Rule == "template-parameter-unnamed" {
		e = &graph.Error{Code: 100, Title: "Invalid parameter", Details: "Parameter name is missing or empty"}
	}
	return e
}

// titleOf is Meta's title of an error about the parameters of a template.
func titleOf(code int64) string {
	return map[int64]string{
		131008: "Required parameter is missing",
		132000: "Number of parameters does not match the expected number of params",
		132012: "Parameter format does not match format in the created template",
		132018: "There was an issue with the parameters in your template",
	}[code]
}

// refuse keeps how Meta puts a finding, and gives it as a finding quotes it.
func (c *check) refuse(code int64, format string, args ...any) string {
	e := graph.Error{Code: code, Title: titleOf(code), Details: fmt.Sprintf(format, args...)}
	c.refused = append(c.refused, e)
	return fmt.Sprintf("Meta: %d, %s: %s", e.Code, e.Title, e.Details)
}

// mismatch is refuse for a parameter of another kind than the template wants.
func (c *check) mismatch(part, want, have string) string {
	return c.refuse(132012, "%s: Format mismatch, expected %s, received %s", part, strings.ToUpper(want), strings.ToUpper(have))
}

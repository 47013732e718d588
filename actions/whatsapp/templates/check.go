package templates

import (
	"fmt"
	"slices"
	"strings"

	"facteur/actions/whatsapp/graph"
	"facteur/flow/schema"
)

// A check collects what is wrong with a message.
type check struct {
	found   schema.Violations
	refused []graph.Error // how Meta puts some of it
}

func (c *check) add(rule string, at schema.Value, hint, format string, args ...any) {
	c.found = append(c.found, schema.Violation{Path: at.Path(), Rule: rule, Hint: hint, Message: fmt.Sprintf(format, args...)})
}

// PullHint is what can be done where the account may have other templates by now.
const PullHint = `if the account has it, copy its templates again with facteur templates pull`

// Check compares a template message, the object that stands under `template`, with the
// templates. meant are those that it may name: one, or each language of it where that is not
// known yet; none where its name is not known, or there is no such template.
func (s *Set) Check(m schema.Value) (meant []*Definition, found schema.Violations) {
	name, ok := m.Get("name").Text()
	if !ok {
		return nil, nil // not known yet, or missing, which the type says
	}
	c := &check{}
	meant = s.Named(name)
	if len(meant) == 0 {
		hint := PullHint
		if near := nearest(name, "templates:", s.names()); near != "" {
			hint = near + "; " + hint
		}
		c.add("template-unknown", m.Get("name"), hint, "the account has no template %s", quoted(name))
		return nil, c.found
	}
	language := m.Get("language", "code")
	if code, ok := language.Text(); ok {
		i := slices.IndexFunc(meant, func(d *Definition) bool { return d.Language == code })
		if i < 0 {
			c.add("template-language", language, languageHint(code, meant), "the template %s does not exist in %s (Meta: 132001, %s)", name, quoted(code), NoTemplate(name, code).Details)
			return nil, c.found
		}
		meant = meant[i : i+1]
	}
	return meant, commonViolations(meant, m)
}

// commonViolations returns what is wrong in each of the languages that may be meant.
func commonViolations(all []*Definition, m schema.Value) schema.Violations {
	common := all[0].check(m)
	for _, d := range all[1:] {
		other := d.check(m)
		common = slices.DeleteFunc(common, func(v schema.Violation) bool {
			return !slices.ContainsFunc(other, func(w schema.Violation) bool {
				return v.Rule == w.Rule && v.Path.String() == w.Path.String()
			})
		})
	}
	return common
}

func languageHint(code string, all []*Definition) string {
	hint := "it exists in " + strings.Join(languages(all), ", ")
	short, _, _ := strings.Cut(code, "_")
	for _, d := range all {
		if other, _, _ := strings.Cut(d.Language, "_"); strings.EqualFold(other, short) {
			return fmt.Sprintf("write %s: %s and %s are different languages; %s", d.Language, code, d.Language, hint)
		}
	}
	return hint
}

// nearest suggests the name that was meant, or lists the names after a label; "" if there are none.
func nearest(name, label string, names []string) string {
	t := &schema.Type{Kind: schema.String}
	for _, known := range names {
		t.Enum = append(t.Enum, known)
	}
	if _, found := t.Coerce(name); len(found) > 0 {
		return strings.Replace(found[0].Hint, "allowed:", label, 1)
	}
	return ""
}

// quoted quotes a name that somebody wrote, at a length that people read.
func quoted(name string) string { return fmt.Sprintf("%.80q", name) }

// check compares a message with the template.
func (d *Definition) check(m schema.Value) schema.Violations {
	c := &check{}
	if d.Status != "" && d.Status != Approved {
		why := ""
		if d.RejectedReason != "" {
			why = ": " + d.RejectedReason
		}
		c.add("template-status", m.Get("name"), "if that has changed, run facteur templates pull", "the template %s (%s) is %s%s, but only templates that are APPROVED can be sent", d.Name, d.Language, d.Status, why)
	}
	if components := m.Get("components"); !components.IsUnknown() {
		f := checker{check: c, template: d, named: d.named()}
		f.components(d.shape, m, components, "")
	}
	return c.found
}

// named tells whether parameters go by name.
func (d *Definition) named() bool {
	if d.ParameterFormat != "" {
		return d.ParameterFormat == "NAMED"
	}
	return slices.ContainsFunc(slices.Concat(d.shape.body, d.shape.title), func(name string) bool { return !isNumber(name) })
}

package dev

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"facteur/flow/plan"
	"facteur/flow/schema"
)

// A formField is the field of an input in the form that starts a flow.
type formField struct {
	Name, ID  string
	Doc       string
	Type      string // as flows write it
	Control   string // of HTML: text, tel, email, url, number, password, select, textarea
	Choices   []string
	Value     string
	Hint      string // an example, or the default
	Required  bool
	Step      string // of a number
	Min, Max  string
	MaxLength int
	Problem   string
}

// A formProblem is a mistake in an input; the name is "" if it is about all of them.
type formProblem struct{ Name, Text string }

// formFields returns the form of a flow's inputs, with the values that were filled in before.
func formFields(p *plan.Plan, values url.Values, problems []formProblem) []formField {
	fields := make([]formField, 0, len(p.Inputs.Fields))
	for _, in := range p.Inputs.Fields {
		f := formField{
			Name: in.Name, ID: "in-" + in.Name, Doc: cmp.Or(in.Doc, in.Type.Doc), Type: in.Type.Name(), Control: "text",
			Required: in.Required && in.Default == nil, Value: values.Get("in." + in.Name), MaxLength: in.Type.MaxLength,
		}
		f.control(in.Type)
		if in.Default != nil {
			if f.Hint != "" {
				f.Hint += "; "
			}
			f.Hint += "default: " + schema.OneLine(in.Default)
		}
		for _, problem := range problems {
			if problem.Name == in.Name {
				f.Problem = problem.Text
			}
		}
		fields = append(fields, f)
	}
	return fields
}

// control chooses the HTML control for a type.
func (f *formField) control(t *schema.Type) {
	switch t.Kind {
	case schema.String:
		switch {
		case len(t.Enum) > 0:
			f.Control = "select"
			for _, v := range t.Enum {
				f.Choices = append(f.Choices, fmt.Sprint(v))
			}
		case t.Sensitive:
			f.Control = "password"
		case t.Format == "e164":
			f.Control, f.Hint = "tel", "such as +33612345678, or a test number from the list, each with a fixed outcome"
		case t.Format == "email":
			f.Control = "email"
		case t.Format == "uri":
			f.Control = "url"
		}
		if t.Pattern != "" {
			f.Hint = "must match " + t.Pattern
		}
	case schema.Bool:
		f.Control, f.Choices = "select", []string{"true", "false"}
	case schema.Int, schema.Number:
		f.Control, f.Step = "number", "any"
		if t.Kind == schema.Int {
			f.Step = "1"
		}
		if t.Minimum != nil {
			f.Min = fmt.Sprint(*t.Minimum)
		}
		if t.Maximum != nil {
			f.Max = fmt.Sprint(*t.Maximum)
		}
		switch {
		case f.Min != "" && f.Max != "":
			f.Hint = f.Min + " to " + f.Max
		case f.Min != "":
			f.Hint = "at least " + f.Min
		case f.Max != "":
			f.Hint = "at most " + f.Max
		}
	case schema.Timestamp:
		f.Hint = "such as 2026-01-31T09:00:00Z"
	case schema.Duration:
		f.Hint = "such as 90s, 24h or 7d"
	default:
		f.Control, f.Hint = "textarea", "JSON"
		if shape := exampleJSON(t); shape != blank {
			f.Hint = "JSON, such as " + shape
		}
	}
}

const blank = `"…"`

// exampleJSON returns an example of a type's values, in JSON.
func exampleJSON(t *schema.Type) string {
	text := ""
	switch t.Kind {
	case schema.Object:
		var fields []string
		for _, field := range t.Fields {
			fields = append(fields, fmt.Sprintf("%q: %s", field.Name, exampleJSON(field.Type)))
		}
		return "{" + strings.Join(fields, ", ") + "}"
	case schema.Map:
		return "{" + blank + ": " + exampleJSON(t.Elem) + "}"
	case schema.List:
		return "[" + exampleJSON(t.Elem) + "]"
	case schema.Bool:
		return "true"
	case schema.Int, schema.Number:
		if t.Minimum != nil {
			return fmt.Sprint(*t.Minimum)
		}
		return "1"
	case schema.Timestamp:
		text = "2026-01-31T09:00:00Z"
	case schema.Duration:
		text = "24h"
	case schema.String:
		switch {
		case len(t.Enum) > 0:
			text = fmt.Sprint(t.Enum[0])
		case t.Format == "e164":
			text = "+33612345678"
		case t.Format == "uri":
			text = "https://…"
		}
	}
	if text == "" {
		return blank
	}
	return fmt.Sprintf("%q", text)
}

// formValues returns the inputs of a run as form values, without sensitive ones and defaults.
func formValues(p *plan.Plan, inputs map[string]any) url.Values {
	values := url.Values{}
	for _, in := range p.Inputs.Fields {
		v, given := inputs[in.Name]
		if !given || in.Type.Sensitive || reflect.DeepEqual(v, schema.JSON(in.Default)) {
			continue
		}
		text, isText := v.(string)
		if !isText {
			encoded, err := json.Marshal(v)
			if err != nil {
				continue
			}
			text = string(encoded)
		}
		values.Set("in."+in.Name, text)
	}
	return values
}

// readForm reads the inputs from a form. Empty fields are left out.
func readForm(p *plan.Plan, values url.Values) (map[string]any, []formProblem) {
	given := map[string]any{}
	var problems []formProblem
	for _, in := range p.Inputs.Fields {
		text := values.Get("in." + in.Name)
		switch v, err := in.Type.FromText(text); {
		case text == "" && in.Required && in.Default == nil:
			problems = append(problems, formProblem{in.Name, "a value is required"})
		case text == "":
		case err != nil:
			problems = append(problems, formProblem{in.Name, strings.TrimSpace(err.Error())})
		default:
			given[in.Name] = v
		}
	}
	coerced, found := p.Inputs.Coerce(given)
	for _, v := range found {
		name := ""
		if len(v.Path) > 0 {
			name, _ = v.Path[0].(string)
		}
		known := slices.ContainsFunc(problems, func(p formProblem) bool { return p.Name == name })
		if v.Warning || known || name == "" && v.Rule == "required" { // the last: as above
			continue
		}
		text := v.Message
		if v.Hint != "" {
			text += ": " + v.Hint
		}
		problems = append(problems, formProblem{name, text})
	}
	inputs, _ := coerced.(map[string]any)
	return inputs, problems
}

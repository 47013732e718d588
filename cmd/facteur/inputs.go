package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"facteur/flow/diag"
	"facteur/flow/plan"
	"facteur/flow/schema"
)

// inputs reads the inputs of a run from the flags, which go before the file, and brings
// them to their types.
func (a *app) inputs(p *plan.Plan, f runFlags) (map[string]any, error) {
	values, err := a.inputFile(f.inputFile)
	if err != nil {
		return nil, err
	}
	given := map[string]bool{}
	for _, in := range f.inputs {
		name, text, ok := strings.Cut(in, "=")
		field := p.Inputs.Field(name)
		switch {
		case !ok:
			return nil, wrong("write --input name=value", "--input %s has no =", in)
		case field == nil:
			return nil, wrong(diag.DidYouMean(name, "inputs", p.Inputs.Names()), "%s has no input %q", p.Name, name)
		case given[name]:
			return nil, wrong("give it once; a list is written as JSON", "--input %s is given twice", name)
		}
		given[name] = true
		if values[name], err = field.Type.FromText(text); err != nil {
			return nil, wrong(hintOf(err), "input %s: %w", name, err)
		}
	}
	coerced, found := p.Inputs.Coerce(values)
	var list diag.List
	for _, field := range p.Inputs.Fields {
		if _, ok := values[field.Name]; !ok && field.Required && field.Default == nil {
			list.Errorf("required", diag.Range{}, fmt.Sprintf("add --input %s=VALUE, of type %s", field.Name, field.Type.Name()), "input %s is missing", field.Name)
		}
	}
	for _, v := range found {
		if v.Rule == "required" && len(v.Path) == 0 {
			continue // it was said
		}
		d := diag.Diagnostic{Code: v.Rule, Message: "inputs: " + v.Message, Hint: v.Hint}
		if len(v.Path) > 0 {
			d.Message = "input " + v.Path.String() + ": " + v.Message
		}
		if v.Warning {
			d.Severity = diag.Warning
		}
		list = append(list, d)
	}
	if err := a.diagnose(list); err != nil {
		return nil, err
	}
	inputs, _ := coerced.(map[string]any)
	return inputs, nil
}

// inputFile reads a JSON object; without a name it is empty.
func (a *app) inputFile(name string) (map[string]any, error) {
	values := map[string]any{}
	if name == "" {
		return values, nil
	}
	text, err := a.readFile(name)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err = d.Decode(&values)
	switch {
	case err == io.EOF:
		err = errors.New("it is empty")
	case err == nil && values == nil:
		err = errors.New("it holds null")
	}
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("something follows the object")
		}
	}
	if err != nil {
		return nil, wrong(`it must hold one JSON object: {"name": value, …}`, "%s: %w", named(name), err)
	}
	return values, nil
}

// readFile reads a file, or standard input for "-".
func (a *app) readFile(name string) ([]byte, error) {
	const most = 16 << 20
	in := a.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, wrong("", "%w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return nil, wrong("", "read %s: %w", named(name), err)
	}
	if len(text) > most {
		return nil, wrong("", "%s is over %d MiB", named(name), most>>20)
	}
	return text, nil
}

// named is a file as messages name it.
func named(file string) string {
	if file == "-" {
		return "standard input"
	}
	return file
}

// hintOf is how to mend a value that does not fit, where its type says so.
func hintOf(err error) string {
	if found, ok := errors.AsType[schema.Violations](err); ok {
		for _, v := range found {
			if !v.Warning && v.Hint != "" {
				return v.Hint
			}
		}
	}
	return ""
}

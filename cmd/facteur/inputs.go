package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"facteur/flow/diag"
	"facteur/flow/plan"
	"facteur/flow/schema"
	"facteur/project"

	"github.com/spf13/cobra"
)

// inputFlags give a run its inputs. Those in inputs, as name=value, override the file's.
type inputFlags struct {
	inputs    []string
	inputFile string
}

func (f *inputFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVarP(&f.inputs, "input", "i", nil, "an input as `name=value`; lists and objects as JSON, or from @file (.json, .csv); repeatable")
	c.Flags().StringVar(&f.inputFile, "input-file", "", "read all inputs, {\"name\": value, …}, from a JSON `file`; - is standard input")
}

// inputs reads the inputs of a run from the flags, which override the file, and coerces them to
// their types. All mistakes are reported at once.
func (a *app) inputs(p *plan.Plan, f inputFlags) (map[string]any, error) {
	values, err := a.inputFile(f.inputFile)
	if err != nil {
		return nil, err
	}
	var list diag.List
	given, files := map[string]bool{}, map[string]fileInput{}
	for _, in := range f.inputs {
		name, text, ok := strings.Cut(in, "=")
		field := p.Inputs.Field(name)
		switch {
		case !ok:
			list.Errorf("type", diag.Range{}, "write --input name=value", "--input %s has no =", in)
			given[name] = true
			continue
		case field == nil:
			list.Errorf("unknown-field", diag.Range{}, diag.DidYouMean(name, "inputs", p.Inputs.Names()), "%s has no input %q", p.Name, name)
			continue
		case given[name]:
			list.Errorf("duplicate-key", diag.Range{}, "give it once; write a list as JSON", "--input %s is given twice", name)
			continue
		}
		given[name] = true
		delete(values, name)
		typ := field.Type.JSONSchema(false)
		if file, ok := fileArgument(typ, text); ok {
			if files[name], err = a.inputFrom(file, typ); err != nil {
				return nil, err
			}
			values[name] = files[name].value
			continue
		}
		v, err := field.Type.FromText(text)
		if err != nil {
			list.Add(inputError(name, err))
			if file := "@" + text; filepath.Ext(text) == ".csv" || filepath.Ext(text) == ".json" {
				if _, ok := fileArgument(typ, file); ok {
					list[len(list)-1].Hint = fmt.Sprintf("to read the file, write --input %s=%s", name, file)
				}
			}
			continue
		}
		values[name] = v
	}
	for _, field := range p.Inputs.Fields {
		if _, ok := values[field.Name]; !ok && !given[field.Name] && field.Required && field.Default == nil {
			form := "VALUE"
			switch field.Type.Kind {
			case schema.List:
				form = "'[…]'"
			case schema.Map, schema.Object:
				form = "'{…}'"
			}
			list.Errorf("required", diag.Range{}, fmt.Sprintf("add --input %s=%s, of type %s", field.Name, form, field.Type.Name()), "input %s is missing", field.Name)
		}
	}
	coerced, found := p.Inputs.Coerce(values)
	for _, v := range found {
		if v.Rule != "required" || len(v.Path) > 0 { // else it was said
			d := inputDiagnostic(v)
			d.Range, d.Hidden = rowOf(v.Path, files), true
			list.Add(diag.List{d})
		}
	}
	if err := a.diagnose(list); err != nil {
		return nil, err
	}
	inputs, _ := coerced.(map[string]any)
	return inputs, nil
}

// rowOf returns the row of a CSV file that a path among the inputs leads to.
func rowOf(path schema.Path, files map[string]fileInput) diag.Range {
	if len(path) < 2 {
		return diag.Range{}
	}
	name, _ := path[0].(string)
	item, ok := path[1].(int)
	if !ok {
		return diag.Range{}
	}
	return files[name].at(item)
}

// inputError is the diagnostic about an input whose text does not have its type.
func inputError(name string, err error) (list diag.List) {
	found, ok := errors.AsType[schema.Violations](err)
	if !ok {
		list.Errorf("type", diag.Range{}, "", "input %s: %s", name, err)
	}
	for _, v := range found {
		v.Path = append(schema.Path{name}, v.Path...)
		list.Add(diag.List{inputDiagnostic(v)})
	}
	return list
}

// inputDiagnostic is a violation with its place among the inputs.
func inputDiagnostic(v schema.Violation) diag.Diagnostic {
	d := diag.Diagnostic{Code: v.Rule, Message: "inputs: " + v.Message, Hint: v.Hint}
	if len(v.Path) > 0 {
		d.Message = "input " + v.Path.String() + ": " + v.Message
	}
	if v.Warning {
		d.Severity = diag.Warning
	}
	return d
}

// inputFile reads a JSON object from a file; without a name it is empty.
func (a *app) inputFile(name string) (map[string]any, error) {
	if name == "" {
		return map[string]any{}, nil
	}
	text, err := a.readFile(name)
	if err != nil {
		return nil, err
	}
	v, err := schema.ReadJSON(text)
	values, ok := v.(map[string]any)
	if err == nil && !ok {
		_, found := (&schema.Type{Kind: schema.Object}).Coerce(v)
		err = found.Err()
	}
	if err != nil {
		return nil, project.UserError(`it must hold one JSON object: {"name": value, …}`, "%s: %w", displayName(name), err)
	}
	return values, nil
}

// readFile reads a file, or standard input for "-". A byte order mark is left out.
func (a *app) readFile(name string) ([]byte, error) {
	const most = 64 << 20
	in := a.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		if of, ok := errors.AsType[*fs.PathError](err); ok {
			err = of.Err // without the name
		}
		return nil, project.UserError("", "%s cannot be read: %w", displayName(name), err)
	}
	if len(text) > most {
		return nil, project.UserError("split it", "%s is over %d MiB", displayName(name), most>>20)
	}
	return bytes.TrimPrefix(text, []byte("\ufeff")), nil
}

// displayName is the name of a file in messages.
func displayName(file string) string {
	if file == "-" {
		return "standard input"
	}
	return file
}

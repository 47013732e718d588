package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"facteur/flow/diag"
	"facteur/flow/schema"
	"facteur/project"
)

// A fileInput is an input that was read from a file.
type fileInput struct {
	value  any
	source *diag.Source // of CSV, nil otherwise
	rows   []int        // where each item of value begins in the source
}

// at returns where the row of an item begins, the zero Range where the file is not CSV.
func (f fileInput) at(item int) diag.Range {
	if item < 0 || item >= len(f.rows) {
		return diag.Range{}
	}
	return diag.Range{Source: f.source, Start: f.rows[item], End: f.rows[item]}
}

// inputFrom reads a list or an object from the file that --input NAME=@FILE names: JSON, or
// for a list CSV. typ is the JSON Schema of the input. Its values are checked later, with the
// others.
func (a *app) inputFrom(file string, typ map[string]any) (fileInput, error) {
	text, err := a.readFile(file)
	if err != nil {
		return fileInput{}, err
	}
	if strings.HasSuffix(strings.ToLower(file), ".csv") {
		if typ["type"] != "array" {
			return fileInput{}, project.UserError("", "%s: a CSV file is a list, but the input is of type %v", file, typ["type"])
		}
		items, _ := typ["items"].(map[string]any)
		return table(diag.NewSource(file, text), items)
	}
	v, err := schema.ReadJSON(text)
	if err != nil {
		return fileInput{}, project.UserError("only a file whose name ends in .csv is read as CSV", "%s: %w", displayName(file), err)
	}
	return fileInput{value: v}, nil
}

// fileArgument returns the file that an input of @FILE names. Only lists and objects can be given
// so: no JSON begins with an @.
func fileArgument(typ map[string]any, text string) (file string, ok bool) {
	file, ok = strings.CutPrefix(text, "@")
	return file, ok && (typ["type"] == "array" || typ["type"] == "object")
}

// table reads CSV: an object for each line below the first, which names the fields. An empty cell
// is left out. The separator is a comma, a semicolon or a tab, whichever the first line has first.
func table(source *diag.Source, item map[string]any) (fileInput, error) {
	file := source.Name
	if !utf8.Valid(source.Text) {
		return fileInput{}, project.UserError("save it as \"CSV UTF-8\"", "%s is not in UTF-8", file)
	}
	r := csv.NewReader(bytes.NewReader(source.Text))
	head := source.Line(1)
	if i := strings.IndexAny(head, ",;\t"); i >= 0 {
		r.Comma = rune(head[i])
	}
	names, err := r.Read()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it is empty")
		}
		return fileInput{}, project.UserError("put the names of the fields into the first line: phone,name", "%s: %w", file, err)
	}
	fields, _ := item["properties"].(map[string]any)
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
		if _, ok := fields[names[i]]; !ok && item["additionalProperties"] == false {
			return fileInput{}, project.UserError(diag.DidYouMean(names[i], "fields", slices.Sorted(maps.Keys(fields))),
				"%s has a column %q, which the flow's input does not have", file, names[i])
		}
	}
	rows := []any{}
	in := fileInput{source: source}
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			in.value = rows
			return in, nil
		}
		if err != nil {
			return fileInput{}, project.UserError("", "%s: %w", file, err)
		}
		row := map[string]any{}
		for i, cell := range cells {
			if cell = strings.TrimSpace(cell); cell == "" {
				continue
			}
			field, _ := fields[names[i]].(map[string]any)
			row[names[i]] = fromText(field, cell)
		}
		rows = append(rows, row)
		line, _ := r.FieldPos(0)
		in.rows = append(in.rows, source.LineStart(line))
	}
}

// fromText returns the value that a text stands for by typ, a JSON Schema: the text itself, or the
// JSON that it is.
func fromText(typ map[string]any, text string) any {
	if v, err := schema.AnyType.FromText(text); err == nil && typ != nil && typ["type"] != "string" {
		return v
	}
	return text
}

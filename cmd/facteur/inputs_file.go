package main

import (
	"encoding/csv"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"facteur/flow/diag"
	"facteur/flow/schema"
)

// inputFrom reads a list or an object from the file that --input NAME=@FILE names: JSON, or
// for a list CSV. typ is the JSON Schema of the input. Its values are checked later, with the
// others.
func (a *app) inputFrom(file string, typ map[string]any) (any, error) {
	text, err := a.readFile(file)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(strings.ToLower(file), ".csv") {
		if typ["type"] != "array" {
			return nil, wrong("", "%s: a CSV file is a list, and the input is of type %v", file, typ["type"])
		}
		items, _ := typ["items"].(map[string]any)
		return table(file, string(text), items)
	}
	v, err := schema.ReadJSON(text)
	if err != nil {
		return nil, wrong("a file that ends in .csv is read as CSV", "%s: %w", named(file), err)
	}
	return v, nil
}

// takesFile tells whether the text of an input is the name of a file, behind an @, as no JSON
// begins with one.
func takesFile(typ map[string]any, text string) (file string, ok bool) {
	file, ok = strings.CutPrefix(text, "@")
	return file, ok && (typ["type"] == "array" || typ["type"] == "object")
}

// table reads CSV: an object for each line below the first, which names the fields. An empty
// cell is no field. What stands between the cells is a comma, a semicolon or a tab, whichever
// comes first in the first line.
func table(file, text string, item map[string]any) (any, error) {
	if !utf8.ValidString(text) {
		return nil, wrong("save it as \"CSV UTF-8\"", "%s is not written in UTF-8", file)
	}
	r := csv.NewReader(strings.NewReader(text))
	head, _, _ := strings.Cut(text, "\n")
	if i := strings.IndexAny(head, ",;\t"); i >= 0 {
		r.Comma = rune(head[i])
	}
	names, err := r.Read()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it is empty")
		}
		return nil, wrong("the first line names the fields: phone,name", "%s: %w", file, err)
	}
	fields, _ := item["properties"].(map[string]any)
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
		if _, ok := fields[names[i]]; !ok && item["additionalProperties"] == false {
			return nil, wrong(diag.DidYouMean(names[i], "fields", slices.Sorted(maps.Keys(fields))),
				"%s has a column %q, which the flow's input does not have", file, names[i])
		}
	}
	rows := []any{}
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, wrong("", "%s: %w", file, err)
		}
		row := map[string]any{}
		for i, cell := range cells {
			if cell = strings.TrimSpace(cell); cell == "" {
				continue
			}
			field, _ := fields[names[i]].(map[string]any)
			row[names[i]] = written(field, cell)
		}
		rows = append(rows, row)
	}
}

// written is what a text stands for where typ, a JSON Schema, is wanted: itself, or the JSON
// that it is.
func written(typ map[string]any, text string) any {
	if v, err := schema.AnyType.FromText(text); err == nil && typ != nil && typ["type"] != "string" {
		return v
	}
	return text
}

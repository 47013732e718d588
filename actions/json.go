package actions

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"time"

	"facteur/flow/schema"
)

// EncodeJSON appends a value of flows as JSON to b, with the keys of objects sorted and
// durations as flows write them.
func EncodeJSON(b *bytes.Buffer, v any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	v, _ = written(v)
	if err := e.Encode(v); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the line feed that Encode adds
	return nil
}

// written replaces durations by their text; a value without any is returned as it is.
func written(v any) (out any, changed bool) {
	switch v := v.(type) {
	case time.Duration:
		return schema.FormatDuration(v), true
	case map[string]any:
		m := v
		for k, inner := range v {
			if got, differs := written(inner); differs {
				if !changed {
					m, changed = maps.Clone(v), true
				}
				m[k] = got
			}
		}
		return m, changed
	case []any:
		list := v
		for i, inner := range v {
			if got, differs := written(inner); differs {
				if !changed {
					list, changed = slices.Clone(v), true
				}
				list[i] = got
			}
		}
		return list, changed
	}
	return v, false
}

// DecodeJSON reads one JSON value as flows know it: whole numbers are int64, others
// float64. Anything after the value is an error.
func DecodeJSON(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more follows the JSON value")
	}
	v, found := schema.AnyType.Coerce(v)
	return v, found.Err()
}

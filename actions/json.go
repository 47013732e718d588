package actions

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"strings"

	"facteur/flow/schema"
)

// IsJSON tells whether a Content-Type says that a body is JSON.
func IsJSON(contentType string) bool {
	kind, _, _ := mime.ParseMediaType(contentType)
	return kind == "application/json" || strings.HasSuffix(kind, "+json")
}

// DecodeJSON reads one JSON value as flows know it, as of schema.Stored: whole numbers are
// int64, others float64. Anything after the value is an error.
func DecodeJSON(text []byte) (any, error) {
	if v, err := schema.ReadJSON(text); err == nil {
		return v, nil
	}
	// What is not quite JSON for everybody, such as a name that stands twice, is what
	// encoding/json takes it for.
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more follows the JSON value")
	}
	v, found := schema.AnyType.CoerceStored(v)
	return v, found.Err()
}

package graph

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"facteur/flow/schema"
)

// ReadError reads the error of an answer, a decoded JSON value: of the Graph API, or of the
// On-Premises API, whose errors are a list. Not ok: it has none.
func ReadError(answer any) (Error, bool) {
	said, _ := answer.(map[string]any)
	if e, ok := ErrorIn(schema.NewValue(said["error"], nil)); ok {
		return e, true
	}
	if list, _ := said["errors"].([]any); len(list) > 0 {
		return ErrorIn(schema.NewValue(list[0], nil))
	}
	return Error{}, false
}

// ErrorIn reads an error wherever the API puts one; ok is false when it has no code.
func ErrorIn(v schema.Value) (e Error, ok bool) {
	if _, ok := v.Object(); !ok {
		return Error{}, false
	}
	text := func(names ...string) string {
		for _, name := range names {
			if s, ok := v.Field(name).Text(); ok && s != "" {
				return s
			}
		}
		return ""
	}
	e.Title = text("message", "title", "error_user_title")
	if e.Code, ok = integer(v.Get("code")); !ok {
		var inTitle int64                                                 // a variable of its own, as it is allocated: most answers are no errors
		if _, err := fmt.Sscanf(e.Title, "(#%d)", &inTitle); err != nil { // "(#131030) Recipient …"
			return Error{}, false
		}
		e.Code = inTitle
	}
	e.Title = strings.TrimSpace(strings.TrimPrefix(e.Title, fmt.Sprintf("(#%d)", e.Code)))
	e.Subcode, _ = integer(v.Get("error_subcode"))
	e.Type, e.FBTraceID, e.Help = text("type"), text("fbtrace_id"), text("href")
	e.Transient, _ = v.Get("is_transient").Bool()
	e.Details = cmp.Or(errorData(v.Get("error_data")), text("details", "error_user_msg"))
	return e, true
}

// errorData reads what an error is about: details, or a text, which may hold JSON. Some
// endpoints name the fields that are to blame.
func errorData(data schema.Value) string {
	if text, ok := data.Text(); ok {
		var inside any
		if json.Unmarshal([]byte(text), &inside) != nil {
			return text
		}
		if object, ok := inside.(map[string]any); ok {
			return cmp.Or(errorData(schema.NewValue(object, nil)), text)
		}
		return text
	}
	if details, ok := data.Get("details").Text(); ok {
		return details
	}
	var fields []string
	for _, spec := range data.Get("blame_field_specs").Items() {
		var path []string
		for _, part := range spec.Items() {
			path = append(path, Word(part))
		}
		fields = append(fields, strings.Join(path, "."))
	}
	if len(fields) == 0 {
		return ""
	}
	return "see " + strings.Join(fields, ", ")
}

// integer reads a number that may be written as a text.
func integer(v schema.Value) (int64, bool) {
	if n, ok := v.Number(); ok {
		return int64(n), true
	}
	if text, ok := v.Text(); ok {
		n, err := json.Number(text).Int64()
		return n, err == nil
	}
	return 0, false
}

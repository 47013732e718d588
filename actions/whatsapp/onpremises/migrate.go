// Package onpremises migrates request bodies of the On-Premises API, which no longer exists, to the
// Cloud API. It is for migration only; a send knows only the Cloud API.
package onpremises

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"facteur/actions/whatsapp"
	"facteur/flow/schema"

	"github.com/nyaruka/phonenumbers"
)

// A Change is something that Migrate did to a body, or that a person must do.
type Change struct {
	Path schema.Path // in the new body, or in the old one for what is gone
	Text string
	Todo bool // a person must do it
}

// Migrate translates the body of a request to the On-Premises API (/v1/messages) into
// one to the Cloud API, and tells what it did. What it cannot do, such as uploading files
// again, is among the changes. The body itself is not changed. One that is a Cloud body
// already comes back with no changes but what Meta would refuse in it.
func Migrate(body map[string]any) (cloud map[string]any, changes []Change) {
	m := &migration{body: deepCopy(body).(map[string]any)}
	m.envelope()
	m.template()
	m.files()
	eachField(schema.Path{"interactive", "action"}, get(m.body["interactive"], "action"), m.trim)
	m.unknown()
	return m.body, m.changes
}

// A migration changes a body of its own.
type migration struct {
	body    map[string]any
	changes []Change
}

func (m *migration) change(path schema.Path, format string, args ...any) {
	m.changes = append(m.changes, Change{Path: slices.Clone(path), Text: fmt.Sprintf(format, args...)})
}

func (m *migration) todo(path schema.Path, format string, args ...any) {
	m.changes = append(m.changes, Change{Path: slices.Clone(path), Text: fmt.Sprintf(format, args...), Todo: true})
}

// envelope changes what stands around the message.
func (m *migration) envelope() {
	b := m.body
	if _, ok := b["messaging_product"]; !ok {
		b["messaging_product"] = "whatsapp"
		m.change(schema.Path{"messaging_product"}, "added: every body for the Cloud API needs it")
	}
	if to, ok := b["to"].(string); ok && b["recipient_type"] != "group" && strings.Trim(to, "0123456789") == "" {
		if number, err := phonenumbers.Parse("+"+to, ""); err == nil && phonenumbers.IsPossibleNumber(number) {
			b["to"] = "+" + to
			m.change(schema.Path{"to"}, "put + before the number: without it, Meta puts the sender's country code there")
		}
	}
	if b["recipient_type"] == "group" {
		m.todo(schema.Path{"to"}, "groups of the On-Premises API no longer exist: give the id of a Cloud API group")
	}
	if v, ok := b["preview_url"]; ok {
		delete(b, "preview_url")
		if text, ok := b["text"].(map[string]any); ok {
			if _, there := text["preview_url"]; !there {
				text["preview_url"] = v
			}
			m.change(schema.Path{"text", "preview_url"}, "moved from the top into text")
		} else {
			m.change(schema.Path{"preview_url"}, "left out: only text messages have a preview")
		}
	}
	if v, ok := b["ttl"]; ok {
		delete(b, "ttl")
		m.change(schema.Path{"ttl"}, "left out")
		m.todo(schema.Path{"ttl"}, "if %v matters, set the template's message_send_ttl_seconds", v)
	}
	if status, ok := b["status"]; ok && b["message_id"] == nil && status == "read" {
		m.todo(schema.Path{"message_id"}, "add the id of the message, which was part of the address")
	}
	m.kind()
}

// kind finds the type of the message where it was left out.
func (m *migration) kind() {
	b := m.body
	if _, ok := b["type"]; ok || b["status"] != nil || b["hsm"] != nil {
		return
	}
	for _, kind := range (whatsapp.Message{}).SchemaType().Cases {
		if _, ok := b[kind.Value]; ok {
			b["type"] = kind.Value
			m.change(schema.Path{"type"}, "added: %s", kind.Value)
			return
		}
	}
}

// fileTypes are the fields that hold files.
var fileTypes = [...]string{"audio", "document", "image", "sticker", "video"}

func isFile(name string) bool {
	return slices.ContainsFunc(fileTypes[:], func(kind string) bool { return strings.EqualFold(kind, name) })
}

// files looks at the files of a message, wherever they stand.
func (m *migration) files() {
	for _, kind := range fileTypes {
		m.file(schema.Path{kind}, m.body[kind])
	}
	for _, at := range [...][2]string{{"interactive", "header"}, {"interactive", "action"}, {"template", "components"}} {
		eachField(schema.Path{at[0], at[1]}, get(m.body[at[0]], at[1]), func(path schema.Path, object map[string]any, name string) (leaf bool) {
			if leaf = isFile(name); leaf {
				m.file(append(path, name), object[name])
			}
			return leaf
		})
	}
}

// eachField visits the fields of the objects in and below a value, but not below a leaf.
func eachField(path schema.Path, v any, visit func(path schema.Path, object map[string]any, name string) (leaf bool)) {
	switch v := v.(type) {
	case []any:
		for i, inner := range v {
			eachField(append(path, i), inner, visit)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if !visit(path, v, name) {
				eachField(append(path, name), v[name], visit)
			}
		}
	}
}

func (m *migration) file(path schema.Path, v any) {
	file, ok := v.(map[string]any)
	if !ok {
		return
	}
	if provider, ok := file["provider"]; ok {
		delete(file, "provider")
		name, _ := get(provider, "name").(string)
		m.change(append(path, "provider"), "left out")
		m.todo(append(path, "link"), "the provider %q gave access to the link: make it public, or upload the file and give its id", name)
	}
	if id, ok := file["id"]; ok {
		m.todo(append(path, "id"), "upload the file again: %v is an id from the On-Premises API, which the Cloud API does not know", id)
	}
}

// trim takes white space from the ends of a field of an action.
func (m *migration) trim(path schema.Path, object map[string]any, name string) (leaf bool) {
	if name != "description" && name != "text" {
		m.trimText(path, object, name)
	}
	return false
}

// unknown leaves out every field that the Cloud API does not know.
func (m *migration) unknown() {
	of := whatsapp.BodyType()
	if m.body["status"] != nil && m.body["type"] == nil {
		of = schema.Of[whatsapp.ReadBody]()
	}
	m.prune(of, m.body, nil, nil)
}

// prune leaves out, in and below a value, the fields that its type does not have. The
// object that it stands in chooses the case of a union.
func (m *migration) prune(t *schema.Type, v any, path schema.Path, owner map[string]any) {
	if t.Kind == schema.Union {
		kind, _ := owner[t.Tag].(string)
		if t = t.Case(kind); t == nil {
			return
		}
	}
	switch v := v.(type) {
	case []any:
		if t.Kind == schema.List {
			for i, inner := range v {
				m.prune(t.Elem, inner, append(path, i), nil)
			}
		}
	case map[string]any:
		if t.Kind != schema.Object {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			switch f := t.Field(name); {
			case f != nil:
				m.prune(f.Type, v[name], append(path, name), v)
			case !t.Open:
				delete(v, name)
				m.change(append(path, name), "left out: the Cloud API does not know it")
			}
		}
	}
}

// get is v[name] of an object, nil for anything else.
func get(v any, name string) any {
	object, _ := v.(map[string]any)
	return object[name]
}

// deepCopy copies lists and objects all through.
func deepCopy(v any) any { return schema.EachLeaf(v, func(v any) any { return v }) }

// integer gives the whole number that a value holds.
func integer(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case float64:
		return int64(v), v == float64(int64(v))
	case string:
		n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		return n, err == nil
	}
	return 0, false
}

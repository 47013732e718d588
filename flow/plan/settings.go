package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"facteur/flow/expr"
	"facteur/flow/schema"
)

// SettingsText is the key of Plan.Texts for the settings that the flows read, which cannot be
// the name of a flow. It is missing if they read none.
const SettingsText = "settings.json"

// A usage is the names of the fields of a variable that a flow reads, "" if it reads the variable
// as a whole.
type usage map[string]bool

// add adds what a program reads of the variable.
func (u usage) add(p *expr.Program, variable string) {
	p.Reads(variable, func(name string) { u[name] = true })
}

// storedSettings returns the settings that are read, as they are stored; ok is false if none is.
func storedSettings(settings map[string]any, read usage) (text string, ok bool) {
	if len(read) == 0 {
		return "", false
	}
	used := make(map[string]any, len(settings))
	for name, v := range settings {
		if read[""] || read[name] {
			used[name] = v
		}
	}
	return string(appendSetting(nil, used)), true
}

// A value that JSON has no form for is stored as an object with one of these keys. Other keys
// that begin with $ get another $.
const (
	timestampTag = "$timestamp"
	durationTag  = "$duration"
)

// appendSetting appends a value as JSON that preserves its type: an integer has no point and
// no exponent, any other number has.
func appendSetting(b []byte, v any) []byte {
	switch v := v.(type) {
	case float64:
		text := strconv.FormatFloat(v, 'g', -1, 64)
		if !strings.ContainsAny(text, ".e") {
			text += ".0"
		}
		return append(b, text...)
	case time.Time:
		return fmt.Appendf(b, "{%q:%q}", timestampTag, v.Format(time.RFC3339Nano))
	case time.Duration:
		return fmt.Appendf(b, "{%q:%q}", durationTag, v)
	case []any:
		b = append(b, '[')
		for i, item := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendSetting(b, item)
		}
		return append(b, ']')
	case map[string]any:
		b = append(b, '{')
		for i, key := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b = append(b, ',')
			}
			name := key
			if strings.HasPrefix(name, "$") {
				name = "$" + name
			}
			b, _ = schema.AppendJSON(b, name)
			b = appendSetting(append(b, ':'), v[key])
		}
		return append(b, '}')
	}
	out, err := schema.AppendJSON(b, v)
	if err != nil { // not a value of the flow language, so no flow can read it
		return append(b, "null"...)
	}
	return out
}

// SettingsOf decodes the settings in Plan.Texts. It returns nil if there are none: the flows
// read no settings, or the run was stored by a version that stored sources alone.
func SettingsOf(texts map[string]string) (map[string]any, error) {
	text, ok := texts[SettingsText]
	if !ok {
		return nil, nil
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var object map[string]any
	if err := d.Decode(&object); err != nil {
		return nil, err
	}
	v, err := decodeSetting(object)
	settings, ok := v.(map[string]any)
	if err == nil && !ok {
		return nil, fmt.Errorf("expected an object, got a %T", v)
	}
	return settings, err
}

func decodeSetting(v any) (any, error) {
	switch v := v.(type) {
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return v.Float64()
		}
		return v.Int64()
	case []any:
		out := slices.Clone(v)
		for i, item := range v {
			var err error
			if out[i], err = decodeSetting(item); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		if text, ok := v[timestampTag].(string); ok {
			return time.Parse(time.RFC3339Nano, text)
		}
		if text, ok := v[durationTag].(string); ok {
			return time.ParseDuration(text)
		}
		out := make(map[string]any, len(v))
		for key, item := range v {
			one, err := decodeSetting(item)
			if err != nil {
				return nil, err
			}
			out[strings.TrimPrefix(key, "$")] = one
		}
		return out, nil
	}
	return v, nil
}

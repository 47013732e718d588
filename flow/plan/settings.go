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

// SettingsText is the key of Plan.Texts for the settings that the flows read; it is no
// name of a flow. It is not there when they read none.
const SettingsText = "settings.json"

// A settingsRead is which settings a flow reads, and the flows that it calls.
type settingsRead struct {
	all   bool
	names map[string]bool
}

func (r *settingsRead) add(p *expr.Program) {
	p.Reads("settings", func(name string) {
		if name == "" {
			r.all = true
			return
		}
		r.name(name)
	})
}

func (r *settingsRead) name(name string) {
	if r.names == nil {
		r.names = map[string]bool{}
	}
	r.names[name] = true
}

func (r *settingsRead) join(other *settingsRead) {
	r.all = r.all || other.all
	for name := range other.names {
		r.name(name)
	}
}

// text is what is stored of the settings, ok is false when none is read.
func (r *settingsRead) text(settings map[string]any) (text string, ok bool) {
	if !r.all && len(r.names) == 0 {
		return "", false
	}
	read := make(map[string]any, len(settings))
	for name, v := range settings {
		if r.all || r.names[name] {
			read[name] = v
		}
	}
	return string(appendSetting(nil, read)), true
}

// A value that JSON has no form for is an object with one of these keys. Other keys that
// begin with a $ get one more.
const (
	timestampTag = "$timestamp"
	durationTag  = "$duration"
)

// appendSetting appends a value as JSON from which it can be read with its type: an
// integer has no point and no exponent, any other number has.
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
	if err != nil { // it is no value that flows know, so that none can read it
		return append(b, "null"...)
	}
	return out
}

// SettingsOf returns the settings that Plan.Texts hold, nil when they hold none: the flows
// read none, or a version stored them that kept sources alone.
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
	v, err := setting(object)
	settings, ok := v.(map[string]any)
	if err == nil && !ok {
		return nil, fmt.Errorf("they are a %T", v)
	}
	return settings, err
}

func setting(v any) (any, error) {
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
			if out[i], err = setting(item); err != nil {
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
			one, err := setting(item)
			if err != nil {
				return nil, err
			}
			out[strings.TrimPrefix(key, "$")] = one
		}
		return out, nil
	}
	return v, nil
}

package project

import (
	"maps"
	"slices"
	"strings"

	"facteur/flow/diag"
	"facteur/flow/schema"
)

// override sets keys of the project file from the environment: FACTEUR_DATA,
// FACTEUR_VAULT_HASHICORP_ADDRESS, FACTEUR_HTTP_ALLOW_HOSTS=a,b, and each setting that
// the file has as FACTEUR_SETTINGS_<NAME>. Connections are the vault's concern.
func (f *File) override(env func(string) (string, bool)) error {
	value, err := f.overridden(env)
	if err != nil || value == nil {
		return err
	}
	coerced, found := FileType().Coerce(value)
	if err := found.Err(); err != nil {
		return Wrong("", "the project file with the environment over it: %w", err)
	}
	return schema.Decode(coerced, f)
}

// overridden is what the file says, with the environment over it.
func (f *File) overridden(env func(string) (string, bool)) (any, error) {
	encoded, _ := schema.Encode(*f).(map[string]any)
	rest := &schema.Type{Kind: schema.Object}
	for _, field := range FileType().Fields {
		if field.Name != "connections" {
			rest.Fields = append(rest.Fields, field)
		}
	}
	return overlaid(envPrefix, rest, encoded, env)
}

// envPrefix begins the names of our environment variables.
const envPrefix = "FACTEUR"

// A Stray is an environment variable that is none of ours, and the one of ours that is near it.
type Stray struct{ Name, Near string }

// Strays finds misspelt variables among those of a process, as NAME=value. What is near to
// none of ours is of somebody else: Kubernetes makes names of the names of services.
func (f *File) Strays(environ []string) (found []Stray) {
	var known []string
	_, _ = f.overridden(func(name string) (string, bool) {
		known = append(known, strings.TrimPrefix(name, envPrefix+"_"))
		return "", false
	})
	known = append(known, "API_KEY", "SERVER")
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		rest, ours := strings.CutPrefix(name, envPrefix+"_")
		if !ours || strings.HasPrefix(rest, "CONNECTION_") || slices.Contains(known, rest) {
			continue
		}
		if near := diag.Suggest(rest, known); near != "" {
			found = append(found, Stray{name, envPrefix + "_" + near})
		}
	}
	return found
}

// overlaid returns a value with what the environment says over it.
func overlaid(name string, t *schema.Type, value any, env func(string) (string, bool)) (any, error) {
	switch t.Kind {
	case schema.Object:
		object, _ := value.(map[string]any)
		for _, f := range t.Fields {
			v, err := overlaid(name+"_"+strings.ToUpper(f.Name), f.Type, object[f.Name], env)
			if err != nil {
				return nil, err
			}
			if v != nil {
				if object == nil {
					object = map[string]any{}
				}
				object[f.Name] = v
			}
		}
		if object == nil {
			return nil, nil
		}
		return object, nil
	case schema.Map:
		object, _ := value.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(object)) {
			v, err := overlaid(name+"_"+strings.ToUpper(key), schema.Infer(object[key]), object[key], env)
			if err != nil {
				return nil, err
			}
			object[key] = v
		}
		if object == nil {
			return nil, nil
		}
		return object, nil
	}
	text, ok := env(name)
	if !ok {
		return value, nil
	}
	if t.Kind == schema.List && !strings.HasPrefix(strings.TrimSpace(text), "[") {
		var list []any
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		return list, nil
	}
	v, err := t.FromText(text)
	if err != nil {
		return nil, Wrong("", "the environment variable %s: %s", name, err)
	}
	return v, nil
}

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
	value, err := f.withEnvironment(env)
	if err != nil || value == nil {
		return err
	}
	coerced, found := FileType().Coerce(value)
	if err := found.Err(); err != nil {
		return UserError("", "the project file, overridden by the environment: %w", err)
	}
	return schema.Decode(coerced, f)
}

// withEnvironment returns the file's values, overridden by the environment's.
func (f *File) withEnvironment(env func(string) (string, bool)) (any, error) {
	encoded, _ := schema.Encode(*f).(map[string]any)
	rest := &schema.Type{Kind: schema.Object}
	for _, field := range FileType().Fields {
		if field.Name != "connections" {
			rest.Fields = append(rest.Fields, field)
		}
	}
	return overlay(envPrefix, rest, encoded, env)
}

// envPrefix is the prefix of our environment variables.
const envPrefix = "FACTEUR"

// An UnknownVariable is an environment variable that is probably a misspelling of Known.
type UnknownVariable struct{ Name, Known string }

// UnknownVariables finds misspelt variables of ours in a list of NAME=value. Other names with our
// prefix may have another origin: Kubernetes derives variables from the names of services.
func (f *File) UnknownVariables(environ []string) (found []UnknownVariable) {
	var known []string
	_, _ = f.withEnvironment(func(name string) (string, bool) {
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
			found = append(found, UnknownVariable{name, envPrefix + "_" + near})
		}
	}
	return found
}

// overlay returns a value, overridden by the environment variables whose names begin with name.
func overlay(name string, t *schema.Type, value any, env func(string) (string, bool)) (any, error) {
	object, _ := value.(map[string]any)
	members := map[string]*schema.Type{}
	switch t.Kind {
	case schema.Object:
		for _, f := range t.Fields {
			members[f.Name] = f.Type
		}
	case schema.Map:
		for key, v := range object {
			members[key] = schema.Infer(v)
		}
	default:
		if text, ok := env(name); ok {
			return fromVariable(name, t, text)
		}
		return value, nil
	}
	for _, key := range slices.Sorted(maps.Keys(members)) {
		v, err := overlay(name+"_"+strings.ToUpper(key), members[key], object[key], env)
		if err != nil {
			return nil, err
		}
		if v != nil {
			if object == nil {
				object = map[string]any{}
			}
			object[key] = v
		}
	}
	if object == nil {
		return nil, nil
	}
	return object, nil
}

// fromVariable returns the value of an environment variable. A list is JSON, or has commas.
func fromVariable(name string, t *schema.Type, text string) (any, error) {
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
		return nil, UserError("", "the environment variable %s: %s", name, err)
	}
	return v, nil
}

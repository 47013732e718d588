package vault

import (
	"cmp"
	"strings"
)

const (
	envName   = "env"
	envPrefix = "FACTEUR_CONNECTION_"
)

// env reads connections from environment variables, one for each field.
type env struct {
	lookup   func(string) (string, bool)
	all      func() []string // as os.Environ; nil if the variables cannot be listed
	declared map[string]Mapping
}

// Variable is the environment variable that holds a field of a connection:
// FACTEUR_CONNECTION_WHATSAPP_SHOP_TOKEN for the token of whatsapp-shop. The app of a
// connection is in that of the field app.
func Variable(name, field string) string {
	return envPrefix + envWord(name) + "_" + envWord(field)
}

func envWord(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, s)
}

// read returns what the environment says of a connection, and whether that is anything.
func (e env) read(name string) (record, bool) {
	r := record{setup: map[string]string{}, secrets: map[string]Secret{}}
	if v, ok := e.lookup(Variable(name, "app")); ok {
		r.app = App(strings.ToUpper(v))
	}
	for _, f := range Fields(cmp.Or(r.app, e.declared[name].App, WhatsApp)) {
		v, ok := e.lookup(Variable(name, f.Name))
		switch {
		case !ok || v == "":
		case f.Secret:
			r.secrets[f.Name] = NewSecret(v)
		default:
			r.setup[f.Name] = v
		}
	}
	return r, r.app != "" || len(r.setup)+len(r.secrets) > 0
}

// names returns the connections that only the environment has. A variable holds
// a name in capitals, so they are listed in lower case, by which they resolve.
func (e env) names(known []string) (names []string) {
	if e.all == nil {
		return nil
	}
	words := map[string]bool{}
	for _, name := range known {
		words[envWord(name)] = true
	}
	for _, variable := range e.all() {
		key, value, _ := strings.Cut(variable, "=")
		rest, ok := strings.CutPrefix(key, envPrefix)
		if !ok || value == "" {
			continue
		}
		word := secretOwner(rest)
		name := strings.ToLower(word)
		if word != "" && !words[word] && checkName(name) == nil {
			words[word] = true
			names = append(names, name)
		}
	}
	return names
}

// secretOwner cuts the name of a secret field off SHOP_APP_SECRET: the longest
// that fits, so that SHOP is left and not SHOP_APP.
func secretOwner(rest string) string {
	owner := ""
	for _, app := range Apps() {
		for _, f := range Fields(app) {
			cut, ok := strings.CutSuffix(rest, "_"+envWord(f.Name))
			if ok && f.Secret && cut != "" && (owner == "" || len(cut) < len(owner)) {
				owner = cut
			}
		}
	}
	return owner
}

package httpcall

import (
	"maps"
	"slices"
	"strings"
	"unicode"

	"facteur/flow/schema"
)

// warnSecrets warns of credentials that a flow holds in clear, in its headers. It is for when
// a flow is checked: what an expression gives is not known then.
func warnSecrets(in schema.Value) (found schema.Violations) {
	headers, _ := in.Get("headers").Object()
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		at := in.Get("headers", name)
		value, _ := at.Text()
		if setup, is := secretHeader(name, strings.TrimSpace(value)); is {
			found = append(found, schema.Violation{Path: at.Path(), Rule: "http-secret", Warning: true, OnKey: true, Hidden: true,
				Message: "anybody who can read the flow, or the journal of a run, can read this secret",
				Hint:    "store it with \"facteur vault set NAME --app HTTP" + setup + "\", give the step connection: NAME, and remove the header"})
		}
	}
	return found
}

// secretHeader tells whether a header holds a secret, and how a connection for it is set up.
func secretHeader(name, value string) (setup string, is bool) {
	if !strings.EqualFold(name, "Authorization") {
		return " type=header header=" + name, namesSecret(strings.ToLower(name)) && looksRandom(value)
	}
	scheme, credentials, _ := strings.Cut(value, " ")
	switch strings.ToLower(scheme) {
	case "bearer":
		return "", credentials != ""
	case "basic":
		return " type=basic username=USER", credentials != ""
	}
	return " type=header header=" + name, credentials != "" || looksRandom(value)
}

// namesSecret tells whether headers of a name, in small letters, hold secrets, as
// x-api-key does and idempotency-key does not.
func namesSecret(name string) bool {
	ends := func(with string) bool { return strings.HasSuffix(name, with) }
	other := func(kind string) bool { return strings.Contains(name, kind) }
	return slices.ContainsFunc([]string{"key", "token", "secret", "password", "auth"}, ends) &&
		!slices.ContainsFunc([]string{"idempotency", "cache", "surrogate", "partition", "routing", "sort", "public"}, other)
}

// looksRandom tells whether a text may have been drawn by lot: a word such as no-cache was not.
func looksRandom(value string) bool {
	return len(value) >= 8 && !strings.ContainsFunc(value, unicode.IsSpace) && (len(value) >= 20 || strings.ContainsFunc(value, unicode.IsDigit))
}

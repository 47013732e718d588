package httpcall

import (
	"slices"
	"strings"

	"facteur/flow/schema"
)

// check finds what a type cannot say, and what the policy forbids.
func (p Policy) check(in schema.Value) schema.Violations {
	var found schema.Violations
	add := func(at schema.Value, rule, hint, message string) {
		found = append(found, schema.Violation{Path: at.Path(), Rule: rule, Message: message, Hint: hint})
	}
	if text, ok := address(in.Get("url")); ok {
		u, err := parseURL(text)
		switch host, _, _ := strings.Cut(text, "/"); {
		case err == nil && u.Host == "" && strings.Contains(host, ".") && !strings.HasPrefix(host, "."):
			found = append(found, schema.Violation{Path: in.Get("url").Path(), Rule: "http-url", Warning: true,
				Message: "without https:// this is a path below the connection's base_url", Hint: "put https:// before it, or / before a path"})
		case err != nil:
			found = append(found, schema.Violation{Path: in.Get("url").Path(), Rule: "http-url", Message: err.Error(), Hidden: strings.Contains(text, "@")})
		case u.Host != "":
			if e := p.refusal(u); e != nil {
				add(in.Get("url"), "http-host", allowHelp, e.Message)
			}
		}
	}
	var bodies []schema.Value
	for _, name := range []string{"json", "form", "text"} {
		if at := in.Get(name); at.Present() {
			bodies = append(bodies, at)
		}
	}
	if len(bodies) > 1 {
		add(bodies[1], "http-one-body", "give one of json, form and text", "there is already a body")
	}
	method, known := in.Get("method").Text()
	if !in.Get("method").Present() {
		method, known = "GET", true
	}
	if method = strings.ToUpper(method); known && len(bodies) > 0 && (method == "GET" || method == "HEAD") {
		add(bodies[0], "http-body-method", "set method to POST, or put the values into query", "a "+method+" request takes no body")
	}
	if at := in.Get("expect_status"); at.Present() && !at.IsUnknown() && !slices.ContainsFunc(at.Items(), schema.Value.IsUnknown) {
		if _, err := statuses(at.Any()); err != nil {
			add(at, "http-expect-status", "", err.Error())
		}
	}
	if headers, ok := in.Get("headers").Object(); ok {
		for name := range headers {
			value, _ := in.Get("headers", name).Text()
			if problem := badHeader(name, value, nil); problem != "" {
				add(in.Get("headers", name), "http-header", "", problem)
			}
		}
	}
	return found
}

// missingBase finds a url that only a connection could complete.
func missingBase(in schema.Value) schema.Violations {
	at := in.Get("url")
	text, ok := address(at)
	if !ok {
		return nil
	}
	if u, err := parseURL(text); err != nil || u.Host != "" {
		return nil
	}
	return schema.Violations{{Path: at.Path(), Rule: "http-url", Message: "it has no host, and the step has no connection with a base_url",
		Hint: "write https://host/path, or give the step a connection"}}
}

// address gives an address, or what is known of one that expressions complete: all up to the
// path. ok is false where not even that is known.
func address(at schema.Value) (text string, ok bool) {
	if !at.IsUnknown() {
		return at.Text()
	}
	fixed := at.FixedParts()
	if len(fixed) == 0 {
		return "", false
	}
	scheme, rest, found := strings.Cut(fixed[0], "://")
	if !found {
		scheme, rest = "", fixed[0]
	} else {
		scheme += "://"
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		return "", false
	}
	return scheme + rest[:end+1], true
}

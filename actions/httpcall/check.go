package httpcall

import (
	"slices"
	"strings"

	"facteur/flow/schema"
)

// check finds what a type cannot say, and what the policy forbids.
func (p Policy) check(in schema.Value) schema.Violations {
	return slices.Concat(p.checkURL(in.Get("url")), checkBody(in), checkExpectStatus(in.Get("expect_status")), checkHeaders(in.Get("headers")))
}

func violation(at schema.Value, rule, hint, message string) schema.Violation {
	return schema.Violation{Path: at.Path(), Rule: rule, Message: message, Hint: hint}
}

func (p Policy) checkURL(at schema.Value) schema.Violations {
	text, ok := address(at)
	if !ok {
		return nil
	}
	u, err := parseURL(text)
	switch host, _, _ := strings.Cut(text, "/"); {
	case err != nil:
		return schema.Violations{{Path: at.Path(), Rule: "http-url", Message: err.Error(), Hidden: strings.Contains(text, "@")}}
	case u.Host == "" && strings.Contains(host, ".") && !strings.HasPrefix(host, "."):
		return schema.Violations{{Path: at.Path(), Rule: "http-url", Warning: true,
			Message: "without https:// this is a path below the connection's base_url", Hint: "put https:// before it, or / before a path"}}
	case u.Host != "":
		if e := p.refusal(u); e != nil {
			return schema.Violations{violation(at, "http-host", allowHelp, e.Message)}
		}
	}
	return nil
}

// checkBody finds more than one body, and one that the method does not take.
func checkBody(in schema.Value) (found schema.Violations) {
	var bodies []schema.Value
	for _, name := range []string{"json", "form", "text"} {
		if at := in.Get(name); at.Present() {
			bodies = append(bodies, at)
		}
	}
	if len(bodies) > 1 {
		found = append(found, violation(bodies[1], "http-one-body", "give one of json, form and text", "there is already a body"))
	}
	method, known := in.Get("method").Text()
	if !in.Get("method").Present() {
		method, known = "GET", true
	}
	if method = strings.ToUpper(method); known && len(bodies) > 0 && (method == "GET" || method == "HEAD") {
		found = append(found, violation(bodies[0], "http-body-method", "set method to POST, or put the values into query", "a "+method+" request takes no body"))
	}
	return found
}

func checkExpectStatus(at schema.Value) schema.Violations {
	if !at.Present() || at.IsUnknown() || slices.ContainsFunc(at.Items(), schema.Value.IsUnknown) {
		return nil
	}
	if _, err := statuses(at.Any()); err != nil {
		return schema.Violations{violation(at, "http-expect-status", "", err.Error())}
	}
	return nil
}

func checkHeaders(headers schema.Value) (found schema.Violations) {
	for _, name := range headers.Keys() {
		at := headers.Get(name)
		value, _ := at.Text()
		if problem := badHeader(name, value, nil); problem != "" {
			found = append(found, violation(at, "http-header", "", problem))
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

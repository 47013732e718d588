package main

import (
	"net/url"
	"regexp"
	"strings"
)

var (
	versionPart = regexp.MustCompile(`^v\d+\.\d+$`)
	idPart      = regexp.MustCompile(`^\d+$`)
)

// An endpoint is what the address of a request tells.
type endpoint struct {
	base    string // "" where it is Meta's own
	version string // "" where there is none
	sender  string // phone number ID, "" where there is none
	last    string // messages
}

// readEndpoint reads the address of a request; what cannot be read is "".
func readEndpoint(address string) (e endpoint) {
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil {
		return e
	}
	if u.Host != "" && u.Host != "graph.facebook.com" {
		e.base = u.Scheme + "://" + u.Host
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	for _, part := range parts {
		switch {
		case versionPart.MatchString(part):
			e.version = part
		case idPart.MatchString(part):
			e.sender = part
		}
	}
	e.last = parts[len(parts)-1]
	return e
}

// Package account asks Meta about the account of a connection, and changes what it does: whether
// the connection works, which app gets the webhooks, which templates there are. It also asks a
// callback URL what Meta asks it. For people at work on an account; no send needs it.
package account

import (
	"facteur/actions"
	"facteur/vault"
)

// A Level is how good or bad a finding is.
type Level string

// The levels.
const (
	OK   Level = "ok"
	Warn Level = "warn" // sending works, but something will go wrong or is missing
	Fail Level = "fail" // sending does not work
)

// A Finding is what one check of a connection found.
type Finding struct {
	Name   string `json:"name"` // what was checked: "token", "phone number" …
	Level  Level  `json:"level"`
	Detail string `json:"detail"`          // what was found
	Cause  string `json:"cause,omitempty"` // unless OK: why that is
	Cure   string `json:"cure,omitempty"`  // unless OK: what you can do
}

// withoutSecrets takes the secrets of a connection out of findings, should an answer
// repeat them.
func withoutSecrets(found []Finding, c vault.Connection) []Finding {
	hidden := actions.Hidden(&c)
	for n := range found {
		f := &found[n]
		f.Detail, f.Cause, f.Cure = hidden(f.Detail), hidden(f.Cause), hidden(f.Cure)
	}
	return found
}

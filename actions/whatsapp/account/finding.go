// Package account checks and sets up a connection's account at Meta: whether the connection works,
// which app gets the webhooks, which templates exist. It also tests a callback URL as Meta does. It
// is for people who manage an account; no send needs it.
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

// A Finding is the result of one check of a connection.
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
	hidden := actions.RedactSecrets(&c)
	for n := range found {
		f := &found[n]
		f.Detail, f.Cause, f.Cure = hidden(f.Detail), hidden(f.Cause), hidden(f.Cure)
	}
	return found
}

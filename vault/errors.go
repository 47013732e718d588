package vault

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// An UnknownConnectionError says that no backend has a connection of that name.
type UnknownConnectionError struct {
	Name  string
	Known []string // the names that there are, sorted
}

func (e *UnknownConnectionError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("there is no connection %q, nor any other: store it with \"facteur vault set %s\", or set %s", e.Name, e.Name, Variable(e.Name, "TOKEN"))
	}
	return fmt.Sprintf("there is no connection %q: store it with \"facteur vault set %s\", or use one of %s", e.Name, e.Name, strings.Join(e.Known, ", "))
}

// A MissingFieldError says that a connection lacks required fields.
type MissingFieldError struct {
	Connection string
	App        App
	Backend    string // where the connection was found
	Fields     []string
}

func (e *MissingFieldError) Error() string {
	app := ""
	if e.App != WhatsApp {
		app = " --app " + string(e.App)
	}
	return fmt.Sprintf("connection %q (%s, from the %s) has no %s: store it with \"facteur vault set %s%s\", or set %s",
		e.Connection, e.App, place(e.Backend), strings.Join(e.Fields, " and no "), e.Connection, app, Variable(e.Connection, e.Fields[0]))
}

// An InvalidFieldError says that a connection has a field that its app does not
// have, or a value of the wrong form. It does not show the value.
type InvalidFieldError struct {
	Connection string
	App        App
	Field      string
	Problem    string
	Hint       string
}

func (e *InvalidFieldError) Error() string { return e.Summary() + "; " + e.Hint }

// Summary is the message without the hint.
func (e *InvalidFieldError) Summary() string {
	app := ""
	if e.App != "" {
		app = fmt.Sprintf(" (%s)", e.App)
	}
	return fmt.Sprintf("connection %q%s: %s: %s", e.Connection, app, e.Field, e.Problem)
}

// A Reason says why a backend could not do what it was asked.
type Reason string

// The reasons.
const (
	Down          Reason = "down"          // no answer, or a server error
	Slow          Reason = "slow"          // the answer takes too long
	Sealed        Reason = "sealed"        // the server waits to be unsealed
	DNS           Reason = "dns"           // the server's name is not found
	TLS           Reason = "tls"           // the server cannot be trusted
	Denied        Reason = "denied"        // the policy does not allow it
	BadLogin      Reason = "bad_login"     // the token or the AppRole was refused
	NotFound      Reason = "not_found"     // there is nothing at the path
	BadAnswer     Reason = "bad_answer"    // the answer is not from HashiCorp Vault
	Conflict      Reason = "conflict"      // others write it at the same time, again and again
	ReadOnly      Reason = "read_only"     // the backend cannot be written to
	Misconfigured Reason = "misconfigured" // the configuration makes no sense
	Exposed       Reason = "exposed"       // others can read the key
	NoKey         Reason = "no_key"        // the key file is gone, what it encrypts is there
	WrongKey      Reason = "wrong_key"     // another key is needed
	Corrupt       Reason = "corrupt"       // what is stored is damaged
	Unusable      Reason = "unusable"      // the file system refuses
)

// why is the message of a reason; most errors have a more exact one.
func (r Reason) why() string {
	messages := map[Reason]string{
		Down:     "it does not answer",
		Slow:     "it does not answer in time",
		Sealed:   "it is sealed",
		DNS:      "its name cannot be resolved",
		TLS:      "its certificate is not trusted",
		Denied:   "permission denied",
		BadLogin: "the login was refused",
		NotFound: "there is nothing at this path",
		Conflict: "somebody else keeps changing it",
		ReadOnly: "it cannot be changed here",
	}
	return cmp.Or(messages[r], string(r))
}

// A BackendError says that a backend could not do what it was asked.
type BackendError struct {
	Backend    string // "env", "hashicorp", "file" or "seal"
	Op         string // "read", "write", "login" …
	Connection string // "" if it is not about one
	Where      string // the file, or the server's address and path
	Reason     Reason
	Hint       string // how to mend it
	Err        error  `json:"-"` // the cause; may be nil

	why string // instead of the reason's own message; "" for that
}

func (e *BackendError) Error() string {
	if e.Hint == "" {
		return e.Summary()
	}
	return e.Summary() + "; " + e.Hint
}

// Summary is the message without the hint.
func (e *BackendError) Summary() string {
	var b strings.Builder
	if e.Connection != "" {
		fmt.Fprintf(&b, "connection %q: ", e.Connection)
	}
	fmt.Fprintf(&b, "%s: cannot %s", place(e.Backend), e.Op)
	if e.Where != "" {
		fmt.Fprintf(&b, " %s", e.Where)
	}
	return b.String() + ": " + cmp.Or(e.why, e.Reason.why())
}

// Unwrap returns the cause.
func (e *BackendError) Unwrap() error { return e.Err }

// Temporary reports whether trying again later may succeed without a change
// here: the backend is down, slow, sealed or its name does not resolve.
func (e *BackendError) Temporary() bool {
	return slices.Contains([]Reason{Down, Slow, Sealed, DNS}, e.Reason)
}

// Unreadable reports whether the backend could not be read at all: it is
// [BackendError.Temporary], refuses the login, or its file is damaged. Once that
// is repaired the same read may succeed. Any other error is the backend's answer
// about the connection.
func (e *BackendError) Unreadable() bool {
	return e.Temporary() || slices.Contains([]Reason{TLS, BadLogin, BadAnswer, Exposed, NoKey, WrongKey, Corrupt, Unusable}, e.Reason)
}

// place is a backend's name in messages.
func place(backend string) string {
	places := map[string]string{envName: "environment", hashicorpName: "hashicorp vault", fileName: "vault file", "fixed": "test"}
	return cmp.Or(places[backend], backend)
}

package vault

import (
	"context"
	"errors"
	"maps"
	"time"
)

// A backend stores connections.
type backend interface {
	// read returns what is stored under the name, or errAbsent.
	read(ctx context.Context, name string) (record, error)

	// write applies the edit to what is stored under the name, and leaves
	// everything else as it is. Removing what is not there is errAbsent.
	write(ctx context.Context, name string, e edit) error
}

// errAbsent says that a backend does not know a name. It never leaves the
// package.
var errAbsent = errors.New("no such connection")

// record is a connection as a backend stores it.
type record struct {
	app              App // empty where the backend does not store it
	setup            map[string]string
	secrets          map[string]Secret
	created, updated time.Time // zero where the backend does not store them
}

// edit is a change to a record.
type edit struct {
	app     App
	setup   map[string]string // an empty value removes the field
	secrets map[string]Secret // likewise
	remove  bool              // removes the whole connection
}

// apply returns the record with the edit made to it.
func (e edit) apply(r record) record {
	if r.app != e.app {
		r.setup, r.secrets = nil, nil // the fields of one app mean nothing to another
	}
	r.app = e.app
	r.setup, r.secrets = maps.Clone(r.setup), maps.Clone(r.secrets)
	if r.setup == nil {
		r.setup = map[string]string{}
	}
	if r.secrets == nil {
		r.secrets = map[string]Secret{}
	}
	maps.Copy(r.setup, e.setup)
	maps.Copy(r.secrets, e.secrets)
	maps.DeleteFunc(r.setup, func(_, v string) bool { return v == "" })
	maps.DeleteFunc(r.secrets, func(_ string, s Secret) bool { return s.IsZero() })
	return r
}

package actions

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"facteur/flow/call"
	"facteur/vault"
)

// errHeld marks errors of the surroundings that pass: nothing was tried.
var errHeld = errors.New("held")

// resolve finds the connection of a call; nil when the call has none.
func (s *Set) resolve(ctx context.Context, sig *call.Signature, c call.Call) (*vault.Connection, error) {
	switch {
	case sig.App == "" && c.Connection != "":
		return nil, refuse("%s takes no connection, but the call names %q", sig.Name, c.Connection)
	case c.Connection == "" && (sig.App == "" || sig.ConnectionOptional):
		return nil, ended(ctx)
	case c.Connection == "":
		return nil, refuse("%s needs a connection for %s", sig.Name, sig.App)
	case s.connections == nil:
		return nil, refuse("there is no vault to find connection %q in", c.Connection)
	}
	if err := ended(ctx); err != nil {
		return nil, err
	}
	conn, err := s.connections.Resolve(ctx, c.Connection)
	if err != nil {
		if over := ended(ctx); over != nil {
			return nil, over
		}
		var temporary interface{ Temporary() bool }
		if errors.As(err, &temporary) && temporary.Temporary() {
			return nil, &Failure{Status: call.Failed, Retryable: true, Cause: errHeld,
				Err: &call.Error{Code: "connection", Class: "surroundings", Message: err.Error()}}
		}
		return nil, refuse("%v", err)
	}
	if string(conn.App) != sig.App {
		return nil, refuse("connection %q is for %s, but %s needs one for %s", c.Connection, conn.App, sig.Name, sig.App)
	}
	return &conn, nil
}

func refuse(format string, args ...any) error {
	return Permanent(&call.Error{Code: "connection", Class: "connection", Message: fmt.Sprintf(format, args...)})
}

// ended tells that a context ended before anything was tried.
func ended(ctx context.Context) error {
	switch {
	case ctx.Err() == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &Failure{Status: call.Failed, Retryable: true, Cause: ctx.Err(),
			Err: &call.Error{Code: "timeout", Class: "timeout", Message: "the time was over before the call began"}}
	}
	return &Failure{Status: call.Cancelled, Cause: ctx.Err(),
		Err: &call.Error{Code: "cancelled", Class: "cancelled", Message: "cancelled before the call began"}}
}

// shortest is the length from which on a secret is looked for in outcomes: a shorter
// one would be found in innocent words.
const shortest = 6

// hide replaces the connection's secrets wherever a server, or an error, repeats them.
func hide(conn *vault.Connection, o *call.Outcome) {
	var needles []string
	for _, secret := range conn.Secrets {
		v := secret.Reveal()
		if len(v) < shortest {
			continue
		}
		forms := []string{v, base64.StdEncoding.EncodeToString([]byte(v))}
		if user := conn.Get("username"); user != "" {
			forms = append(forms, base64.StdEncoding.EncodeToString([]byte(user+":"+v)))
		}
		for _, form := range forms {
			needles = append(needles, form)
			if escaped := url.QueryEscape(form); escaped != form {
				needles = append(needles, escaped)
			}
		}
	}
	if len(needles) == 0 {
		return
	}
	// The longest first: one form may hold another.
	slices.SortFunc(needles, func(a, b string) int { return len(b) - len(a) })
	if o.Error != nil {
		o.Error.Message = hideIn(o.Error.Message, needles)
		hideInside(o.Error.Details, needles)
	}
	hideInside(o.Output, needles)
}

func hideIn(text string, needles []string) string {
	for _, needle := range needles {
		if strings.Contains(text, needle) {
			text = strings.ReplaceAll(text, needle, "[secret]")
		}
	}
	return text
}

// hideInside hides in the texts of an object, at any depth. The object belongs to the
// outcome alone.
func hideInside(object map[string]any, needles []string) {
	for k, v := range object {
		if after, changed := hideAny(v, needles); changed {
			object[k] = after
		}
	}
}

func hideAny(v any, needles []string) (after any, changed bool) {
	switch v := v.(type) {
	case string:
		if text := hideIn(v, needles); text != v {
			return text, true
		}
	case map[string]any:
		hideInside(v, needles)
	case []any:
		for i, inner := range v {
			if after, changed := hideAny(inner, needles); changed {
				v[i] = after
			}
		}
	}
	return v, false
}

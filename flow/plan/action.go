package plan

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/schema"
)

func (c *flowCompiler) action(in *flow.Action, s *expr.Scope) (*Action, *schema.Type) {
	out := &Action{
		Timeout: defaultTimeout, UnknownTimeout: defaultUnknownTimeout,
		Resend: in.OnUnknown == "resend", Idempotent: in.Idempotent,
	}
	if in.Timeout != nil {
		out.Timeout = in.Timeout.Value
	}
	if in.UnknownTimeout != nil {
		out.UnknownTimeout = in.UnknownTimeout.Value
	}
	if in.Retry != nil {
		out.Retry = &Retry{Attempts: in.Retry.Attempts, Delay: in.Retry.Delay, Factor: in.Retry.Factor, MaxDelay: in.Retry.MaxDelay}
		if in.Retry.When != nil {
			failed := s.Fork()
			failed.Bind("error", call.ErrorType)
			out.Retry.When, _, _ = c.condition(*in.Retry.When, failed)
		}
	}
	sig := c.lib.Catalog.Action(in.Name.Value)
	if sig == nil {
		known, _ := c.lib.Catalog.Names()
		if in.Name.Value != "" { // else package flow said so
			c.diags.Errorf("unknown-action", in.Name.Whole, diag.DidYouMean(in.Name.Value, "actions", known), "there is no action %q", in.Name.Value)
		}
		c.valueOrNil(in.With, nil, s)
		return out, openObject
	}
	out.Signature = sig
	c.connection(in, out)
	var known any
	var found schema.Violations
	with := orEmpty(in.With, in.WithRange)
	out.With, known, found = c.checked(with, in.WithRange, sig.In, s)
	out.coerce, out.check = sig.In.Coerce, sig.Check
	if !c.lib.Stored {
		known = veil(sig.In, known, found)
		checks := []func(schema.Value) schema.Violations{sig.Check, sig.Lint}
		if in.Connection == nil {
			checks = slices.Insert(checks, 0, sig.Alone)
		}
		wrong := map[string]bool{} // texts with an error, of which one check tells
		for _, check := range checks {
			if check == nil {
				continue
			}
			told := slices.DeleteFunc(check(schema.NewValue(known, &schema.Watch{})), func(v schema.Violation) bool { return wrong[v.Path.String()] })
			for _, v := range told {
				if !v.Warning && isText(known, v.Path) {
					wrong[v.Path.String()] = true
				}
			}
			c.violations(told, with, in.WithRange)
		}
		if found.Err() == nil && !out.With.mayLack() {
			out.settle(known)
		}
	}
	if in.Await != nil {
		out.Await = &Await{State: in.Await.State.Value, Timeout: in.Await.Timeout}
		switch {
		case sig.Settle == nil:
			c.diags.Errorf("no-receipts", in.Await.Range, "remove await", "%s has no receipts to wait for", sig.Name)
		case in.Await.State.Value != "" && !slices.Contains(sig.States, in.Await.State.Value):
			c.diags.Errorf("unknown-state", in.Await.State.Whole, diag.DidYouMean(in.Await.State.Value, "states", sig.States), "%s has no state %q", sig.Name, in.Await.State.Value)
		}
	}
	return out, sig.Out
}

// isText tells whether a text stands at a place in a value, with expressions or without.
func isText(v any, at schema.Path) bool {
	for _, key := range at {
		switch key := key.(type) {
		case string:
			object, _ := v.(map[string]any)
			v = object[key]
		case int:
			list, _ := v.([]any)
			if key >= len(list) {
				return false
			}
			v = list[key]
		}
	}
	if u, ok := v.(schema.Unknown); ok {
		return u.Fixed != nil
	}
	_, is := v.(string)
	return is
}

// settle leaves to each call only what is not known from the flow.
func (a *Action) settle(known any) {
	a.With.settle(known)
	a.coerce = a.Signature.In.Rest(known)
	if rest := a.Signature.Rest; rest != nil {
		a.check = rest(schema.NewValue(known, &schema.Watch{}))
	}
}

// Input brings what With gave into the form that the action takes, and checks it.
func (a *Action) Input(v any) (any, schema.Violations) {
	v, found := a.coerce(v)
	if found.Err() == nil && a.check != nil {
		found = a.check(schema.NewValue(v, &schema.Watch{}))
	}
	return v, found
}

func (c *flowCompiler) connection(in *flow.Action, out *Action) {
	sig := out.Signature
	if in.Connection == nil {
		if sig.App != "" && !sig.ConnectionOptional {
			c.diags.Errorf("missing-connection", in.Name.Whole, cmp.Or(c.ofApp("add connection: ", sig.App), `add connection: with a name from "facteur vault list"`), "%s needs a connection (app %s)", sig.Name, sig.App)
		}
		return
	}
	out.Connection = in.Connection.Value
	c.plan.Connections = append(c.plan.Connections, out.Connection)
	if sig.App == "" {
		c.diags.Errorf("unknown-key", in.Connection.Whole, "remove it", "%s takes no connection", sig.Name)
		return
	}
	c.near(*in.Connection)
	if c.lib.App == nil || c.lib.Stored {
		return
	}
	if app, ok := c.lib.App(out.Connection); ok && app != sig.App {
		c.diags.Errorf("wrong-connection", in.Connection.Whole, c.ofApp("write connection: ", sig.App), "%s needs a connection of app %s, %s is of app %s", sig.Name, sig.App, out.Connection, app)
	}
}

// ofApp is a hint that names the connections of an app that are known beforehand, "" where
// there is none.
func (c *flowCompiler) ofApp(write, app string) string {
	if c.lib.Others == nil || c.lib.App == nil {
		return ""
	}
	var names []string
	for _, name := range c.lib.Others("") {
		if a, ok := c.lib.App(name); ok && a == app {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return write + strings.Join(names, " or ")
}

// near warns about a name that nobody knows, and that is nearly one that somebody does.
func (c *flowCompiler) near(connection diag.Text) {
	if c.lib.Others == nil || c.lib.Stored {
		return
	}
	others := c.lib.Others(connection.Value)
	if near := diag.Suggest(connection.Value, others); near != "" {
		c.diags.Warnf("near-connection", connection.Whole, diag.DidYouMean(connection.Value, "connections", others)+"; name it in the project file if it is another one",
			"no connection %q is known here", connection.Value)
	}
}

// The defaults of what a step leaves out.
const (
	defaultTimeout        = 30 * time.Second
	defaultUnknownTimeout = 10 * time.Minute
)

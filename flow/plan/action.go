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
			retryScope := s.Fork()
			retryScope.Bind("error", call.ErrorType)
			out.Retry.When, _, _ = c.condition(*in.Retry.When, retryScope)
		}
	}
	sig := c.lib.Catalog.Action(in.Name.Value)
	if sig == nil {
		known, _ := c.lib.Catalog.Names()
		if in.Name.Value != "" { // package flow reports an empty name
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
	out.With, known, found = c.valueOf(with, in.WithRange, sig.In, s)
	out.check = sig.Check
	if !c.lib.Stored {
		known = replaceInvalid(sig.In, known, found)
		checks := []func(schema.Value) schema.Violations{sig.Check, sig.Lint}
		if in.Connection == nil {
			checks = slices.Insert(checks, 0, sig.LintNoConnection)
		}
		reported := map[string]bool{} // one error per text: later checks do not repeat it
		for _, check := range checks {
			if check == nil {
				continue
			}
			violations := slices.DeleteFunc(check(schema.NewValue(known, &schema.Tracker{})), func(v schema.Violation) bool { return reported[v.Path.String()] })
			for _, v := range violations {
				if !v.Warning && isText(known, v.Path) {
					reported[v.Path.String()] = true
				}
			}
			c.violations(violations, with, in.WithRange)
		}
		if found.Err() == nil && !out.With.mayBeAbsent() {
			out.specialize(known)
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

// isText reports whether the part of v at path is a text, literal or with expressions.
func isText(v any, path schema.Path) bool {
	for _, key := range path {
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
		return u.FixedParts != nil
	}
	_, ok := v.(string)
	return ok
}

// specialize evaluates in advance what is known of With, so that each call checks only the parts
// that depend on expressions.
func (a *Action) specialize(known any) {
	a.With.fillKnown(known)
	if rest := a.Signature.SpecializeCheck; rest != nil {
		a.check = rest(schema.NewValue(known, &schema.Tracker{}))
	}
}

// Input coerces a value that With evaluated to into the action's input, and checks it.
func (a *Action) Input(v any) (any, schema.Violations) {
	v, found := a.Signature.In.Coerce(v)
	if found.Err() == nil && a.check != nil {
		found = a.check(schema.NewValue(v, &schema.Tracker{}))
	}
	return v, found
}

func (c *flowCompiler) connection(in *flow.Action, out *Action) {
	sig := out.Signature
	if in.Connection == nil {
		if sig.App != "" && !sig.ConnectionOptional {
			c.diags.Errorf("missing-connection", in.Name.Whole, cmp.Or(c.connectionsHint("add connection: ", sig.App), `add connection: with a name from "facteur vault list"`), "%s needs a connection (app %s)", sig.Name, sig.App)
		}
		return
	}
	out.Connection = in.Connection.Value
	if sig.App == "" {
		c.diags.Errorf("unknown-key", in.Connection.Whole, "remove it", "%s takes no connection", sig.Name)
		return
	}
	c.useConnection(*in.Connection, sig.App, sig.Name)
}

// useConnection notes that the flow uses a connection, warns about one that is not known but
// whose name is close to one that is, and reports one that is not of the app ("": any) that what
// needs it is for.
func (c *flowCompiler) useConnection(in diag.Text, app, what string) {
	c.plan.Connections = append(c.plan.Connections, in.Value)
	if c.lib.Stored {
		return
	}
	if c.lib.OtherConnections != nil {
		known := c.lib.OtherConnections(in.Value)
		if near := diag.Suggest(in.Value, known); near != "" {
			c.diags.Warnf("near-connection", in.Whole, diag.DidYouMean(in.Value, "connections", known)+"; if it is another one, name it under connections: in the project file",
				"no connection %q is known on this machine", in.Value)
		}
	}
	if c.lib.ConnectionApp != nil && app != "" {
		if other, ok := c.lib.ConnectionApp(in.Value); ok && other != app {
			c.diags.Errorf("wrong-connection", in.Whole, c.connectionsHint("write connection: ", app), "%s needs a connection of app %s, but %s is of app %s", what, app, in.Value, other)
		}
	}
}

// connectionsHint returns a hint that lists the connections of an app known before the run,
// after prefix; "" if there are none.
func (c *flowCompiler) connectionsHint(prefix, app string) string {
	if c.lib.OtherConnections == nil || c.lib.ConnectionApp == nil {
		return ""
	}
	var names []string
	for _, name := range c.lib.OtherConnections("") {
		if a, ok := c.lib.ConnectionApp(name); ok && a == app {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return prefix + strings.Join(names, " or ")
}

// Defaults of what a step leaves out.
const (
	defaultTimeout        = 30 * time.Second
	defaultUnknownTimeout = 10 * time.Minute
)

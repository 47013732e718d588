package flow

import "facteur/flow/diag"

// Parse reads a flow. It returns what it understood also when the diagnostics hold
// errors, so that later stages can report more; the flow is nil only when there is
// nothing to go on.
func Parse(name string, text []byte) (*Flow, diag.List) { panic("not yet") }

// ParseValue reads any YAML file with the same care and limits; what the values mean
// is the caller's concern. The node is nil when there is nothing to go on.
func ParseValue(name string, text []byte) (*Node, diag.List) { panic("not yet") }

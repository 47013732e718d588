package whatsapp

import "slices"

// elsewhere is the id under which ExplainRule tells what Meta demands and no rule can see.
const elsewhere = "seen-elsewhere"

// ExplainRule says what a rule demands, what can be done and where it is documented; ok
// is false for an id that is none.
func ExplainRule(id string) (text string, ok bool) {
	if id == elsewhere {
		text = "What Meta demands and a body does not show, and where it is checked:\n"
		for _, a := range seenElsewhere() {
			text += "\n- " + a.what + ": " + a.where + "."
		}
		return text, true
	}
	for _, r := range slices.Concat(rules(), saidRules(), lookupRules()) {
		if r.id != id {
			continue
		}
		text = r.doc
		if r.hint != "" {
			text += "\n\nHint: " + r.hint + "."
		}
		if r.warning {
			text += "\n\nThis is a warning: the message is sent."
		}
		return text + "\n\nSource: " + r.source + ".", true
	}
	return "", false
}

// RuleIDs returns the ids of all rules, each once.
func RuleIDs() []string {
	var ids []string
	for _, r := range slices.Concat(rules(), saidRules(), lookupRules()) {
		if !slices.Contains(ids, r.id) {
			ids = append(ids, r.id)
		}
	}
	return ids
}

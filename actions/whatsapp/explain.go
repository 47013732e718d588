package whatsapp

import "slices"

// uncheckedID is the id under which ExplainRule lists the uncheckedDemands.
const uncheckedID = "seen-elsewhere"

// ExplainRule says what a rule demands, how to satisfy it and where it is documented. ok is
// false if no rule has the id.
func ExplainRule(id string) (text string, ok bool) {
	if id == uncheckedID {
		text = "What Meta requires but a body does not show, and where it is checked:\n"
		for _, a := range uncheckedDemands() {
			text += "\n- " + a.demand + ": " + a.checked + "."
		}
		return text, true
	}
	for _, r := range slices.Concat(rules(), customRules(), lintRules()) {
		if r.id != id {
			continue
		}
		text = r.doc
		if r.hint != "" {
			text += "\n\nHint: " + r.hint + "."
		}
		if r.warning {
			text += "\n\nThis is a warning: the message is sent anyway."
		}
		return text + "\n\nSource: " + r.source + ".", true
	}
	return "", false
}

// RuleIDs returns the ids of all rules, each once.
func RuleIDs() []string {
	var ids []string
	for _, r := range slices.Concat(rules(), customRules(), lintRules()) {
		if !slices.Contains(ids, r.id) {
			ids = append(ids, r.id)
		}
	}
	return ids
}

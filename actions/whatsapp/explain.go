package whatsapp

import (
	"fmt"
	"strings"
)

// RuleIDs returns the ids of the rules that messages must keep.
func RuleIDs() []string {
	var ids []string
	for _, r := range rules() {
		ids = append(ids, r.id)
	}
	return append(ids, "recipient-format", "recipient-doubtful", "once-needs-ledger")
}

// ExplainRule tells what a rule of RuleIDs is about and how to keep it; ok is false
// for any other id.
func ExplainRule(id string) (text string, ok bool) {
	switch id {
	case "recipient-format":
		return "A recipient is a phone number in E.164 form, with + and the country code (+33612345678), or a business-scoped user ID (US.…). Without + Meta would put the sender's country code in front and write to somebody else.", true
	case "recipient-doubtful":
		return "The number is possible, but lies in no range that its country has given out, as far as libphonenumber knows. It is sent as it is.", true
	case "once-needs-ledger":
		return "`once` is kept by the ledger of the daemon. Without one it cannot be promised, so the step is refused.", true
	}
	for _, r := range rules() {
		if r.id != id {
			continue
		}
		on := "every send"
		if r.on != "" {
			on = strings.ReplaceAll(r.on, " ", ", ")
		}
		text = fmt.Sprintf("A rule for %s", on)
		if r.at != "" {
			text += ", at " + r.at
		}
		if r.hint != "" {
			text += ": " + r.hint
		}
		text += "."
		if r.source != "" {
			text += " Source: " + r.source + "."
		}
		return text, true
	}
	return "", false
}

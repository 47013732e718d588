package flow

import (
	"regexp"
	"slices"
	"strings"

	"facteur/flow/diag"
)

const maxID = 63

// celKeywords are words of CEL that cannot be names.
var celKeywords = [...]string{"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import",
	"in", "let", "loop", "namespace", "null", "package", "return", "true", "var", "void", "while"}

// checkID reports a text that is not a valid name of the language.
func (p *parser) checkID(t diag.Text, what string) bool {
	switch {
	case slices.Contains(celKeywords[:], t.Value):
		p.errorf("bad-id", t.Whole, "choose another name", "%s cannot be %q, which is a reserved word in expressions", what, t.Value)
	case len(t.Value) > maxID && isID(t.Value):
		p.errorf("bad-id", t.Whole, "", "%s has %d characters, at most %d are allowed", what, len(t.Value), maxID)
	case !isID(t.Value):
		hint := "names start with a lowercase letter (a-z) and contain only lowercase letters, digits and _"
		if near := toID(t.Value); near != "" {
			hint = "write " + near + "; " + hint
		}
		p.errorf("bad-id", t.Whole, hint, "%s cannot be %q", what, t.Value)
	default:
		return true
	}
	return false
}

var idForm = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func isID(s string) bool { return idForm.MatchString(s) }

// A wordStart is where camelCase has an underscore as an id.
var wordStart = regexp.MustCompile("([a-z])([A-Z])")

// toID converts a text to an id, "" if that would be a guess.
func toID(s string) string {
	if file, ok := strings.CutSuffix(s, ".yaml"); ok { // the file of a flow
		s = strings.TrimSuffix(file[strings.LastIndexByte(file, '/')+1:], ".flow")
	}
	words := strings.NewReplacer("-", "_", " ", "_", ".", "_").Replace(wordStart.ReplaceAllString(s, "${1}_$2"))
	id := strings.ToLower(words)
	if !isID(id) || len(id) > maxID || slices.Contains(celKeywords[:], id) {
		return ""
	}
	return id
}

// claimID checks the id of a step; false if another step has it.
func (p *parser) claimID(t diag.Text) bool {
	if !p.checkID(t, "the id of a step") {
		return true
	}
	if first, taken := p.ids[t.Value]; taken {
		p.errorf("duplicate-id", t.Whole, "choose another: ids are unique in the whole flow",
			"the id %q is already used by the step on line %d", t.Value, first.Whole.Pos().Line)
		return false
	}
	p.ids[t.Value] = t
	return true
}

package diag_test

import (
	"strings"
	"testing"

	"facteur/flow/diag"

	"github.com/stretchr/testify/assert"
)

func TestDeduplicate(t *testing.T) {
	one := diag.NewSource("one.flow.yaml", []byte(strings.Repeat("x y\n", 20)))
	other := diag.NewSource("other.flow.yaml", []byte("x y\n"))
	at := func(src *diag.Source, line, col int) diag.Range {
		start := (line-1)*4 + col - 1
		return diag.Range{Source: src, Start: start, End: start + 1}
	}
	find := func(r diag.Range, code, subject, hint string) diag.Diagnostic {
		return diag.Diagnostic{Range: r, Code: code, Subject: subject, Hint: hint}
	}
	for name, tt := range map[string]struct {
		in    diag.List
		hints []string // of what is left
	}{
		"nothing": {nil, nil},
		"several lines": {diag.List{
			find(at(one, 1, 1), "unset", "reply", "guard it"), find(at(one, 1, 3), "unset", "reply", "or so"), find(at(one, 3, 1), "unset", "reply", ""),
			find(at(one, 3, 3), "unset", "reply", ""), find(at(one, 7, 1), "unset", "reply", "")},
			[]string{"guard it; also on lines 3 and 7"}},
		"one line, without a hint": {diag.List{find(at(one, 1, 1), "unset", "reply", ""), find(at(one, 2, 1), "unset", "reply", "")},
			[]string{"also on line 2"}},
		"the same line": {diag.List{find(at(one, 1, 1), "unset", "reply", "guard it"), find(at(one, 1, 3), "unset", "reply", "")}, []string{"guard it"}},
		"others": {diag.List{
			find(at(one, 1, 1), "unset", "reply", "a"), find(at(one, 2, 1), "unset", "sent", "b"), find(at(one, 3, 1), "unknown", "reply", "c"),
			find(at(other, 1, 1), "unset", "reply", "d"), find(at(one, 4, 1), "type", "", "e"), find(at(one, 5, 1), "type", "", "f")},
			[]string{"a", "b", "c", "d", "e", "f"}},
	} {
		var hints []string
		for _, d := range tt.in.Deduplicate() {
			hints = append(hints, d.Hint)
		}
		assert.Equal(t, tt.hints, hints, name)
	}
	var many diag.List
	for line := range 12 {
		many = append(many, find(at(one, line+1, 1), "unset", "reply", ""))
	}
	assert.Equal(t, "also on lines 2, 3, 4, 5, 6, 7, 8, 9 and 3 more", many.Deduplicate()[0].Hint)
}

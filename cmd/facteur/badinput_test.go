package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// flowOf returns a flow of one step.
func flowOf(step string) string {
	return "flow: bad\ninputs: {phone: {type: string, default: \"+33612345678\"}, vip: {type: boolean, default: true}}\nsteps:\n" + step + "\n"
}

// setsFlow returns a flow whose only step sets x to a value, inserted as YAML.
func setsFlow(value string) string {
	return flowOf("  - {id: one, set: {v: \"${inputs.phone}\"}}\n  - set:\n      x: " + value)
}

// An invalid file is reported with position and hint; nothing runs.
func TestBadFlows(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("flow: bad\nsteps:\n  - set:\n      a: &a [x, x, x, x, x, x, x, x, x]\n")
	for c := 'b'; c <= 'i'; c++ {
		fmt.Fprintf(&bomb, "      %c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c, ", c-1), 9), ", "))
	}
	for _, tt := range []struct{ name, text, want, hint string }{
		{"bomb", bomb.String(), "[too-many-aliases]", ""},
		{"over the limit", setsFlow(strings.Repeat("x", 1<<20)), "[too-large]", ""},
		{"deep nesting", setsFlow(strings.Repeat("[", 5000) + strings.Repeat("]", 5000)), "[too-deep]", ""},
		{"deep blocks", setsFlow("\n        " + strings.Repeat("- ", 300) + "x"), "[too-deep]", ""},
		{"not UTF-8", setsFlow("caf\xe9"), "bad.flow.yaml:6:13: error: ", "UTF-8"},
		{"a tab", flowOf("\t- {id: one, wait: 1s}"), "[tab-indent]", "spaces"},
		{"empty", "", "[empty-file]", ""},
		{"only a comment", "# nothing\n", "[empty-file]", ""},
		{"duplicate key", setsFlow("1\n      x: 2"), "bad.flow.yaml:7:7: error: ", ""},
		{"unknown key", flowOf("  - {id: one, wait: 1s, tiemout: 1s}"), "[unknown-key]", "keys: allow_failure"},
		{"two kinds", flowOf("  - {id: one, wait: 1s, set: {x: 1}}"), "[two-kinds]", ""},
		{"no kind", flowOf("  - {id: one}"), "[no-kind]", ""},
		{"explicit tag", setsFlow("!!str 7"), "[explicit-tag]", ""},
		{"merge key", flowOf("  - {id: one, wait: 1s}\n  - <<: {id: two}\n    wait: 1s"), "[merge-key]", ""},
		{"null key", flowOf("  - set: {~: 1}"), "[null-key]", ""},
		{"second document", flowOf("  - {id: one, wait: 1s}\n---\nflow: other"), "[multiple-documents]", ""},
		{"unquoted expression", setsFlow("{phone: ${inputs.phone}}"), "bad.flow.yaml:6:18: error: quote an expression inside { } or [ ]", `"${inputs.phone}"`},
		{"unquoted colon", setsFlow("Rendez-vous : mardi"), "[unquoted-colon]", "quote"},
		{"unquoted question mark", setsFlow("{body: Là ?}"), "bad.flow.yaml:6:20: error: text with ? inside { } or [ ] must be quoted", `"Là ?"`},
		{"unquoted hash", setsFlow("[Colis #7, b]"), "[unquoted-hash]", ""},
		{"truncated by a comment", setsFlow("Colis #${inputs.phone}"), "[truncated-by-comment]", ""},
		{"expression in a comment", setsFlow("Colis # ${inputs.phone}"), "[truncated-by-comment]", ""},
		{"a ! condition", flowOf("  - {id: one, wait: 1s}\n  - if: !inputs.vip\n    wait: 1s"), "[bad-condition-start]", `quote it: "!inputs.vip"`},
		{"a quoted condition", flowOf("  - {id: one, wait: 1s}\n  - if: \"a\" == inputs.phone\n    wait: 1s"), "[bad-condition-start]", `quote it: '"a" == inputs.phone'`},
		{"a braced condition", flowOf("  - {id: one, wait: 1s}\n  - if: ${inputs.vip}\n    wait: 1s"), "[braced-condition]", "if: inputs.vip"},
		{"a ternary", setsFlow("${inputs.vip ? \"a\": \"b\"}"), "[unquoted-colon]", ""},
		{"double braces", setsFlow("${{ inputs.phone }}"), "[double-braces]", "${"},
		{"unterminated", setsFlow("Bonjour ${inputs.phone"), "bad.flow.yaml:6:18: error: ", ""},
		{"a no that is a text", flowOf("  - {id: one, wait: 1s, allow_failure: no}"), "[wrong-kind]", "false"},
		{"a misspelt input", setsFlow("${inputs.phon}"), "bad.flow.yaml:6:19: error: inputs has no field", `did you mean "phone"?`},
		{"a bad id", flowOf("  - {id: Notify Me, wait: 1s}"), "[bad-id]", ""},
		{"a JSON string", message("'{\"body\": \"x\"}'"), "error:", ""},
		{"a whole request", message("{messaging_product: whatsapp, to: \"+33612345678\", type: text, text: {body: x}}"), "error:", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "bad.flow.yaml"), tt.text)
			for _, args := range [][]string{{"validate", "bad.flow.yaml"}, {"run", "bad.flow.yaml"}} {
				code, stdout, stderr := facteur(t, dir, "", args...)
				assert.Equal(t, exitUser, code, stderr)
				assert.Empty(t, stdout)
				assert.Contains(t, stderr, tt.want)
				assert.Contains(t, stderr, tt.hint)
				assert.Less(t, len(stderr), 4000, "a short answer to a long mistake")
			}
			assert.NoDirExists(t, filepath.Join(dir, "data"), "nothing ran")
		})
	}
}

// message returns a flow that sends a text message, inserted as YAML.
func message(text string) string {
	return flowOf("  - id: one\n    action: whatsapp.send_message\n    connection: shop\n    with:\n      recipient: ${inputs.phone}\n      message_type: text\n      message: " + text)
}

// What can only be seen while the flow runs is the error of a step, and exits 1.
func TestBadValuesAtRunTime(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"over the cost limit", setsFlow(`${lists.range(100000).map(a, lists.range(1000).map(b, a * b))}`), "cost"},
		{"past the end", setsFlow(`${[1, 2][inputs.phone.size()]}`), "bad.flow.yaml:6:"},
		{"division by zero", setsFlow(`${1 / (inputs.phone.size() - 12)}`), "bad.flow.yaml:6:"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "bad.flow.yaml"), tt.text)
			code, _, stderr := facteur(t, dir, "", "run", "bad.flow.yaml")
			assert.Equal(t, exitFailed, code, stderr)
			assert.Contains(t, stderr, tt.want)
			code, stdout, _ := facteur(t, dir, "", "run", "bad.flow.yaml", "--json")
			assert.Equal(t, exitFailed, code)
			assert.Contains(t, stdout, `"code": "expression_failed"`)
		})
	}
}

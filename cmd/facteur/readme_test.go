package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"facteur/flow"
	"facteur/flow/diag"
	"facteur/flow/plan"
	"facteur/project"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A block is an example of the README.
type block struct {
	line int
	text string
}

func readmeBlocks(t *testing.T, language string) []block {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	var out []block
	for _, at := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllSubmatchIndex(text, -1) {
		out = append(out, block{1 + strings.Count(string(text[:at[2]]), "\n"), string(text[at[2]:at[3]])})
	}
	require.NotEmpty(t, out)
	return out
}

// fragmentInputs declares the names that the README's fragments use.
const fragmentInputs = `flow: fragment
inputs:
  phone: {type: string, format: e164}
  name: {type: string}
  lang: {type: string}
  order_id: {type: string}
  message_id: {type: string}
  vip: {type: boolean}
  recipients: {type: array, items: {type: object, properties: {phone: {type: string}, name: {type: string}}, required: [phone, name]}}
steps:
`

// Every example of the README is valid: flows compile, tests pass, projects open, messages
// match their type.
func TestReadme(t *testing.T) {
	whole := regexp.MustCompile(`(?m)^flow: .*`)
	var flows []string
	for _, b := range readmeBlocks(t, "yaml") {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "book.flow.yaml"), "flow: book_delivery\ninputs: {phone: {type: string}}\nsteps: [{set: {phone: \"${inputs.phone}\"}}]\n")
		switch {
		case whole.MatchString(b.text) && strings.Contains(b.text, "\ncases:"):
			require.NotEmpty(t, flows, "the README shows the flow before its test")
			write(t, filepath.Join(dir, "tested.flow.yaml"), flows[0])
			write(t, filepath.Join(dir, "one.test.yaml"), b.text)
			code, stdout, stderr := facteur(t, dir, "", "test", ".")
			assert.Equal(t, 0, code, "README.md:%d: %s%s", b.line, stdout, stderr)
		case whole.MatchString(b.text):
			flows = append(flows, b.text)
			compiles(t, b, b.text)
		case strings.Contains(b.text, "\nconnections:"):
			write(t, filepath.Join(dir, project.FileName), b.text)
			require.NoError(t, os.Mkdir(filepath.Join(dir, "flows"), 0o755))
			_, found, err := project.Open(dir)
			require.NoError(t, err)
			assert.Empty(t, found, "README.md:%d", b.line)
		case strings.Contains(b.text, "message_type: "):
			for i, part := range strings.Split(b.text, "\n\n") {
				if strings.HasPrefix(part, "steps:") || strings.HasPrefix(part, "- id:") {
					compiles(t, b, fragmentInputs+indent(strings.TrimPrefix(part, "steps:\n"), ""))
					continue
				}
				compiles(t, block{b.line + i, part}, fragmentInputs+"  - id: send\n    action: whatsapp.send_message\n    connection: shop\n    with:\n      recipient: ${inputs.phone}\n"+indent(part, "      "))
			}
		case strings.HasPrefix(b.text, "- id: ") || strings.HasPrefix(b.text, "steps:"):
			compiles(t, b, fragmentInputs+indent(strings.TrimPrefix(b.text, "steps:\n"), "  "))
		case strings.HasPrefix(b.text, "triggers:"):
			compiles(t, b, "flow: fragment\ninputs: {phone: {type: string, format: e164}, order_id: {type: string}}\n"+b.text+"steps: [{set: {order: \"${inputs.phone + inputs.order_id}\"}}]\n")
		default: // a few keys out of their place: at least it is YAML as we read it
			_, found := flow.ParseValue("README.md", []byte(b.text))
			assert.Empty(t, found, "README.md:%d", b.line)
		}
	}
}

func indent(text, by string) string {
	return by + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+by) + "\n"
}

func compiles(t *testing.T, b block, text string) {
	t.Helper()
	catalog, err := project.Descriptions()
	require.NoError(t, err)
	f, found := flow.Parse("README.md", []byte(text))
	if f != nil {
		other, _ := flow.Parse("book.flow.yaml", []byte("flow: book_delivery\ninputs: {phone: {type: string}}\nsteps: [{set: {phone: \"${inputs.phone}\"}}]\n"))
		_, more := plan.Compile(f, plan.Library{Catalog: catalog, FlowNames: []string{"book_delivery"}, Flow: func(string) *flow.Flow { return other }, Settings: map[string]any{}})
		found.Add(more)
	}
	for _, d := range found {
		if d.Severity == diag.Error {
			t.Errorf("README.md, the block at line %d: %v\n%s", b.line, d, text)
		}
	}
}

// The commands that the README shows exist, with their flags.
func TestReadmeCommands(t *testing.T) {
	var text []byte
	for _, file := range []string{"../../README.md", "../../examples/deploy/README.md"} {
		part, err := os.ReadFile(file)
		require.NoError(t, err)
		text = append(text, part...)
	}
	for _, m := range regexp.MustCompile(`(?m)facteur ((?:run|validate|test|init|vault (?:set|list|check|rm|rotate-key)|schema|actions|explain|version|completion|serve|runs [a-z]+|pause|resume|holds|keys [a-z]+|backup|health|webhook [a-z]+)\b)([^|\n]*)`).FindAllStringSubmatch(string(text), -1) {
		_, help, _ := facteur(t, t.TempDir(), "", append(strings.Fields(m[1]), "--help")...)
		assert.Contains(t, help, "facteur "+m[1], "%s: there is no such command", m[0])
		for _, flag := range regexp.MustCompile(`--[a-z-]+`).FindAllString(m[2], -1) {
			assert.Contains(t, help, flag, m[0])
		}
	}
}

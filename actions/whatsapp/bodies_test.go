package whatsapp_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"facteur/actions"
	"facteur/actions/whatsapp"
	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write golden files")

const bodies = "../../testdata/messages"

// A bodyCase is a case of testdata/messages: a body, and the rules that it violates.
type bodyCase struct {
	name  string
	body  any
	rules []string
}

func bodyCases(t testing.TB) []bodyCase {
	files, err := filepath.Glob(bodies + "/*.txt")
	require.NoError(t, err)
	var cases []bodyCase
	for _, file := range files {
		if filepath.Base(file) != "wording.txt" {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			cases = append(cases, parseBodies(t, strings.TrimSuffix(filepath.Base(file), ".txt"), string(text))...)
		}
	}
	return cases
}

// parseBodies reads one file; the README of testdata/messages describes the format.
func parseBodies(t testing.TB, file, text string) []bodyCase {
	base, rest, _ := strings.Cut(text, "\n\n")
	cases := []bodyCase{{name: file + "/base", body: decodeJSON(t, base)}}
	for part := range strings.SplitSeq(rest, "== ") {
		head, changes, ok := strings.Cut(part, "\n")
		if !ok || strings.TrimSpace(head) == "" {
			continue
		}
		what, rules, _ := strings.Cut(head, ": ")
		c := bodyCase{name: file + "/" + what, body: decodeJSON(t, base), rules: strings.Fields(rules)}
		for line := range strings.Lines(changes) {
			line = strings.TrimSpace(line)
			path, value, set := strings.Cut(line, "= ")
			switch {
			case line == "":
			case strings.HasPrefix(line, "- "):
				c.body = setAt(t, c.body, line[2:], nil, true)
			case set:
				c.body = setAt(t, c.body, strings.TrimSpace(path), decodeJSON(t, value), false)
			default:
				t.Fatalf("%s: cannot read %q", c.name, line)
			}
		}
		cases = append(cases, c)
	}
	return cases
}

var (
	repeatedText = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"\*(\d+)`)
	repeatedList = regexp.MustCompile(`\]\*(\d+)`)
)

// decodeJSON decodes JSON with repetitions, see the README of testdata/messages.
func decodeJSON(t testing.TB, text string) any {
	text = repeatedText.ReplaceAllStringFunc(text, func(s string) string {
		m := repeatedText.FindStringSubmatch(s)
		n, _ := strconv.Atoi(m[2])
		return `"` + strings.Repeat(m[1], n) + `"`
	})
	for {
		m := repeatedList.FindStringSubmatchIndex(text)
		if m == nil {
			break
		}
		open, depth := m[0], 0
		for ; open >= 0; open-- {
			if text[open] == ']' {
				depth++
			} else if text[open] == '[' {
				if depth--; depth == 0 {
					break
				}
			}
		}
		n, _ := strconv.Atoi(text[m[2]:m[3]])
		var parts []string
		for i := range n {
			parts = append(parts, strings.ReplaceAll(text[open+1:m[0]], "#", strconv.Itoa(i)))
		}
		text = text[:open] + "[" + strings.Join(parts, ",") + "]" + text[m[1]:]
	}
	v, err := actions.DecodeJSON([]byte(text))
	require.NoError(t, err, "%.200s", text)
	return v
}

var pathStep = regexp.MustCompile(`[a-z_0-9]+|\[\d+\]`)

// setAt sets or removes the value at a path.
func setAt(t testing.TB, v any, path string, to any, remove bool) any {
	steps := pathStep.FindAllString(path, -1)
	if len(steps) == 0 {
		return to
	}
	rest := strings.TrimPrefix(path[len(steps[0]):], ".")
	if steps[0][0] == '[' {
		i, _ := strconv.Atoi(strings.Trim(steps[0], "[]"))
		list, _ := v.([]any)
		if remove && rest == "" {
			return slices.Delete(list, i, i+1)
		}
		if i == len(list) {
			list = append(list, nil)
		}
		require.Less(t, i, len(list), path)
		list[i] = setAt(t, list[i], rest, to, remove)
		return list
	}
	object, _ := v.(map[string]any)
	if object == nil {
		object = map[string]any{}
	}
	if remove && rest == "" {
		require.Contains(t, object, steps[0])
		delete(object, steps[0])
	} else {
		object[steps[0]] = setAt(t, object[steps[0]], rest, to, remove)
	}
	return object
}

// brokenRules returns the rules that a body violates, each once, sorted.
func brokenRules(body any) []string {
	var rules []string
	for _, v := range whatsapp.CheckBody(body) {
		rules = append(rules, v.Rule)
	}
	slices.Sort(rules)
	return slices.Compact(rules)
}

// TestBodies: each body violates exactly the rules that its case names, and wording.txt has
// the finding of each rule.
func TestBodies(t *testing.T) {
	findings := map[string]string{}
	for _, c := range bodyCases(t) {
		t.Run(c.name, func(t *testing.T) {
			want := slices.Sorted(slices.Values(c.rules))
			if want == nil {
				want = []string{}
			}
			assert.Equal(t, want, append([]string{}, brokenRules(c.body)...), "%v", findingTexts(whatsapp.CheckBody(c.body)))
		})
		for _, v := range whatsapp.CheckBody(c.body) {
			if _, ok := findings[v.Rule]; !ok {
				findings[v.Rule] = fmt.Sprintf("%s\n  %s\n", v.Rule, strings.Join(findingTexts(schema.Violations{v}), "\n  "))
			}
		}
	}
	maps.Copy(findings, inputFindings(t))
	for _, id := range whatsapp.RuleIDs() {
		if findings[id] == "" && !isLintRule(id) {
			t.Errorf("no body in testdata/messages breaks the rule %s", id)
		}
	}
	var golden strings.Builder
	for _, id := range sortedNames(findings) {
		golden.WriteString(findings[id] + "\n")
	}
	file := bodies + "/wording.txt"
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(golden.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	wanted := strings.Split(string(want), "\n\n")
	for _, id := range sortedNames(findings) {
		if text := strings.TrimSuffix(findings[id], "\n"); !slices.Contains(wanted, text) {
			t.Errorf("wording.txt does not hold this; go test -run TestBodies -update writes it:\n%s", text)
		}
	}
	assert.Equal(t, len(findings), len(wanted)-1, "wording.txt holds what no rule says")
}

// inputFindings returns a finding of each rule that only the input of a send can violate.
func inputFindings(t *testing.T) map[string]string {
	sig := newSet(t, nil, whatsapp.Options{}).Action("whatsapp.send_message")
	findings := map[string]string{}
	for _, in := range []map[string]any{
		text(map[string]any{"sender_phone_id": "+33612345678"}),
		text(map[string]any{"recipient": "33612345678"}),
		text(map[string]any{"recipient": "+33012345678"}),
		text(map[string]any{"reply_to": " wamid.X"}),
		text(map[string]any{"message_type": "reaction", "message": map[string]any{"message_id": "w", "emoji": "👍"}, "reply_to": "w"}),
		text(map[string]any{"message_type": "template", "message": map[string]any{"name": "n", "language": map[string]any{"code": "fr"}}, "fallback": map[string]any{"message": map[string]any{"name": "n", "language": map[string]any{"code": "fr"}}}}),
		text(map[string]any{"message": `{"body": "x"}`}),
		text(map[string]any{"message": map[string]any{"messaging_product": "whatsapp", "to": "+33612345678", "type": "text", "text": map[string]any{"body": "x"}}}),
	} {
		_, found := checkInput(t, sig, in)
		require.Len(t, found, 1, "%v: %v", in, findingTexts(found))
		findings[found[0].Rule] = fmt.Sprintf("%s\n  %s\n", found[0].Rule, findingTexts(found)[0])
	}
	return findings
}

// isLintRule tells whether a rule is about a project's templates, which other tests cover.
func isLintRule(id string) bool {
	text, _ := whatsapp.ExplainRule(id)
	return strings.Contains(text, "the account's own templates") || id == "template-files" || id == "template-user-id" || id == "template-marketing-us"
}

func findingTexts(found schema.Violations) []string {
	var out []string
	for _, v := range found {
		severity := "error"
		if v.Warning {
			severity = "warning"
		}
		hint := ""
		if v.Hint != "" {
			hint = " (" + v.Hint + ")"
		}
		out = append(out, fmt.Sprintf("%s: %s: %s%s [%s]", v.Path, severity, v.Message, hint, v.Rule))
	}
	return out
}

func sortedNames(m map[string]string) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// The examples pass, without a warning.
func TestExampleBodies(t *testing.T) {
	files, err := filepath.Glob("../../examples/messages/*.json")
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		body := decodeJSON(t, string(text))
		assert.Empty(t, findingTexts(whatsapp.CheckBody(body)), file)
		object := body.(map[string]any)
		kind, _ := object["type"].(string)
		inner, _ := object[kind].(map[string]any)
		of, _ := inner["type"].(string)
		seen[kind], seen[kind+"/"+of] = true, true

		var decoded whatsapp.Body
		if kind != "" {
			require.NoError(t, schema.Decode(body, &decoded), file)
			assert.Equal(t, object["to"], decoded.To, file)
		}
	}
	for _, kind := range []string{"text", "image", "video", "audio", "document", "sticker", "location", "contacts", "reaction", "template",
		"interactive/button", "interactive/list", "interactive/cta_url", "interactive/flow", "interactive/product", "interactive/product_list", "interactive/catalog_message",
		"interactive/location_request_message", "interactive/address_message", "interactive/order_details", "interactive/order_status", "interactive/carousel",
		"interactive/voice_call", "interactive/call_permission_request", "interactive/request_contact_info"} {
		assert.True(t, seen[kind], "there is no example of %s", kind)
	}
}

// A normalized body has the same findings as the input of a send.
func TestBodiesAndInputsAgree(t *testing.T) {
	sig := newSet(t, nil, whatsapp.Options{}).Action("whatsapp.send_message")
	for _, c := range bodyCases(t) {
		body, ok := c.body.(map[string]any)
		body, _ = whatsapp.Normalize(body)
		kind, _ := body["type"].(string)
		if !ok || body["category"] != nil || body[kind] == nil || body["to"] != "+33612345678" || sig.In.Field("message").Type.Case(kind) == nil {
			continue
		}
		var inBody, inInput []string
		for _, v := range whatsapp.CheckBody(body) {
			if v.Path.String() != kind && strings.HasPrefix(v.Path.String(), kind) && v.Rule != "message-placeholder" && !strings.HasPrefix(v.Rule, "direct") {
				inBody = append(inBody, strings.TrimPrefix(v.Path.String(), kind)+" "+v.Rule)
			}
		}
		in := map[string]any{"recipient": "+33612345678", "message_type": kind, "message": body[kind]}
		coerced, found := sig.In.Coerce(in)
		if found.Err() == nil {
			found = append(found, sig.Check(schema.NewValue(coerced, nil))...)
		}
		for _, v := range found {
			if v.Path.String() != "message" && strings.HasPrefix(v.Path.String(), "message") {
				inInput = append(inInput, strings.TrimPrefix(v.Path.String(), "message")+" "+v.Rule)
			}
		}
		if found.Err() == nil || len(inInput) > 0 {
			for _, f := range inInput {
				assert.Contains(t, inBody, f, c.name)
			}
		}
	}
}

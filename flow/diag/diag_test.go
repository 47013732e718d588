package diag_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"facteur/flow/diag"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPrint(t *testing.T) {
	src := diag.NewSource("shop.flow.yaml", []byte("flow: shop\nname: café ${inputs.phon}\n"))
	start := strings.Index(string(src.Text), "phon")
	var list diag.List
	list.Errorf("unknown-field", diag.Range{Source: src, Start: start, End: start + 4},
		diag.DidYouMean("phon", "inputs", []string{"phone", "order_id"}), "inputs has no field %q", "phon")

	var out strings.Builder
	require.NoError(t, diag.Printer{W: &out}.Print(list))
	assert.Equal(t, `shop.flow.yaml:2:21: error: inputs has no field "phon" [unknown-field]
    2 | name: café ${inputs.phon}
      |                     ^^^^
  hint: did you mean "phone"? inputs: order_id, phone
`, out.String())
}

// A line that one diagnostic hides stays hidden when another one is printed alone.
func TestHideSecretLines(t *testing.T) {
	src := diag.NewSource("shop.flow.yaml", []byte("a: {nam: x, token: EAAG}\nb: y\n"))
	var list diag.List
	list.Errorf("unknown-field", diag.Range{Source: src, Start: 4, End: 7}, "", "no field nam")
	list.Errorf("unknown-field", diag.Range{Source: src, Start: 12, End: 17}, "", "no field token")
	list[1].Hidden = true
	list.Errorf("unknown-field", diag.Range{Source: src, Start: 25, End: 26}, "", "no field b")
	list.Errorf("", diag.Range{}, "", "of no file")
	var shown []string
	for _, d := range list.HideSecretLines() {
		shown = append(shown, d.Snippet())
	}
	assert.Equal(t, []string{"", "", "    2 | b: y\n      | ^", ""}, shown)
	assert.False(t, list[0].Hidden, "the list itself stays as it was")
}

func TestPrintKeepsLongLinesAndControlsAway(t *testing.T) {
	line := strings.Repeat("x", 500) + "\x1b[31mBAD" + strings.Repeat("y", 500)
	src := diag.NewSource("f", []byte(line))
	var list diag.List
	list.Warnf("", diag.Range{Source: src, Start: 505, End: 508}, "", "odd")
	var out strings.Builder
	require.NoError(t, diag.Printer{W: &out}.Print(list))
	assert.NotContains(t, out.String(), "\x1b")
	assert.Less(t, len(out.String()), 400)
	assert.Contains(t, out.String(), "…")
}

func TestSortDropsRepeats(t *testing.T) {
	src := diag.NewSource("f", []byte("a b c"))
	var list diag.List
	list.Errorf("z", diag.Range{Source: src, Start: 4, End: 5}, "", "later")
	list.Errorf("a", diag.Range{Source: src, Start: 0, End: 1}, "", "first")
	list.Errorf("a", diag.Range{Source: src, Start: 0, End: 1}, "", "first")
	list.Sort()
	require.Len(t, list, 2)
	assert.Equal(t, "f:1:1: error: first [a] (and 1 more)", list.Err().Error())
}

func TestJSON(t *testing.T) {
	src := diag.NewSource("f.yaml", []byte("a\nbc"))
	var list diag.List
	list.Warnf("w", diag.Range{Source: src, Start: 2, End: 4}, "mend it", "odd")
	data, err := json.Marshal(list)
	require.NoError(t, err)
	assert.JSONEq(t, `[{"file":"f.yaml","line":2,"col":1,"end_line":2,"end_col":3,"severity":"warning","code":"w","message":"odd","hint":"mend it"}]`, string(data))
}

func TestTextKeepsPlacesThroughEscapes(t *testing.T) {
	src := diag.NewSource("f", []byte(`k: "a\nbc"`))
	whole := diag.Range{Source: src, Start: 3, End: 10}
	// a at 4, \n at 5-6, b at 7, c at 8
	text := diag.NewText("a\nbc", whole, diag.Segment{ValueOffset: 0, SourceOffset: 4}, diag.Segment{ValueOffset: 1, SourceOffset: 5}, diag.Segment{ValueOffset: 2, SourceOffset: 7})
	assert.Equal(t, 7, text.Range(2, 3).Start)
	assert.Equal(t, 9, text.Range(2, 4).End)
	cut := text.Cut(2, 4)
	assert.Equal(t, "bc", cut.Value)
	assert.Equal(t, 8, cut.Range(1, 2).Start)
}

func TestSuggest(t *testing.T) {
	for _, tt := range []struct {
		name  string
		known []string
		want  string
	}{
		{"phon", []string{"phone", "name"}, "phone"},
		{"mesage_id", []string{"message_id", "wa_id"}, "message_id"},
		{"Recipient", []string{"recipient"}, "recipient"},
		{"message-type", []string{"message", "message_type"}, "message_type"},
		{"adn", []string{"and"}, "and"},
		{"zzz", []string{"phone"}, ""},
		{"x", nil, ""},
		{"m", []string{"n", "mm"}, ""},
		{"m", []string{"n", "M"}, "M"},
		{"send_message", []string{"whatsapp.send_message", "whatsapp.mark_read"}, "whatsapp.send_message"},
		{"order.flow.yaml", []string{"welcome", "order"}, "order"},
		{"lat", []string{"latitude", "longitude"}, "latitude"},
		{"whatsapp", []string{"whatsapp.send_message", "whatsapp.mark_read"}, ""}, // nobody knows which
		{"age", []string{"message"}, ""},
		{"na", []string{"namespace"}, ""},
		{"00d_calle", []string{"bad_callee", "bad_calls"}, "bad_callee"}, // both are as near
		{"a.b.c", []string{"a", "a.b"}, "a.b"},
	} {
		assert.Equal(t, tt.want, diag.Suggest(tt.name, tt.known), tt.name)
		slices.Reverse(tt.known)
		assert.Equal(t, tt.want, diag.Suggest(tt.name, tt.known), "%s, in another order", tt.name)
	}
}

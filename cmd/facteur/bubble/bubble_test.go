package bubble

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Widths of texts as terminals draw them.
func TestCells(t *testing.T) {
	for text, want := range map[string]int{
		"":                                0,
		"abc":                             3,
		"é":                               1, // composed
		"e\u0301":                         1, // with a combining accent
		"漢字":                              4,
		"ｆｕｌｌ":                            8,
		"📦":                               2,
		"❤️":                              2,
		"👍🏽":                              2,
		"👨‍👩‍👧":                           2,
		"🇫🇷🇩🇪":                            4,
		"🏴\U000e0067\U000e0062\U000e007f": 2,
		"a\u200bb":                        2, // nothing is drawn between
		"\x1b[31mx":                       5, // nothing steers the terminal
		"a\u202eb":                        2, // or turns the text around
		"\u0301":                          0,
	} {
		got := cells(text, "")
		assert.Equal(t, want, columnsOf(got), "%q", text)
		for _, c := range got {
			assert.NotContains(t, c.text, "\x1b")
		}
	}
}

func TestFolded(t *testing.T) {
	for _, tt := range []struct {
		text string
		most int
		want []string
	}{
		{"", 5, []string{""}},
		{"one two", 7, []string{"one two"}},
		{"one two", 6, []string{"one", "two"}},
		{"one two", 3, []string{"one", "two"}},
		{"onetwothree", 4, []string{"onet", "woth", "ree"}},
		{"漢字漢字", 5, []string{"漢字", "漢字"}},
		{"a 📦📦", 4, []string{"a", "📦📦"}},
	} {
		var got []string
		for _, line := range wrapLines(cells(tt.text, ""), tt.most) {
			var b strings.Builder
			paintCells(&b, line, false)
			got = append(got, b.String())
		}
		assert.Equal(t, tt.want, got, "%q in %d", tt.text, tt.most)
	}
}

func FuzzFolded(f *testing.F) {
	f.Add("Bonjour 👨‍👩‍👧 漢字 *gras* e\u0301", 7)
	f.Add("\u200d\ufe0f🇫", 1)
	f.Fuzz(func(t *testing.T, text string, most int) {
		if most < 2 || most > 1000 {
			return
		}
		for _, line := range wrapLines(cells(text, ""), most) {
			assert.LessOrEqual(t, columnsOf(line), most)
		}
	})
}

// Each type of message is drawn, and stays within the terminal, with all lines of its
// bubble equally long.
func TestDraw(t *testing.T) {
	api, err := simulator.New(simulator.Options{Seed: 1, Clock: simulator.Frozen(time.Date(2026, 1, 1, 12, 30, 0, 0, time.UTC))})
	require.NoError(t, err)
	defer api.Close()
	files, err := filepath.Glob("../../../examples/messages/*.json")
	require.NoError(t, err)
	for _, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodPost, "/v23.0/106540352242922/messages", bytes.NewReader(body))
		r.Header.Set("Authorization", "Bearer any")
		r.Header.Set("Content-Type", "application/json")
		api.ServeHTTP(httptest.NewRecorder(), r)
	}
	_, err = api.Send(simulator.Inbound{From: "+33612345678", Text: "Merci 🙏 beaucoup"})
	require.NoError(t, err)
	api.Advance(time.Minute)
	all := api.Messages(simulator.Filter{})
	assert.Greater(t, len(all), len(files)-5)
	for _, width := range []int{24, 40, 80, 200} {
		for _, m := range all {
			var out bytes.Buffer
			Sketch{Width: width, Color: width == 80, Zone: time.UTC}.Draw(&out, m, http.StatusOK)
			assert.Contains(t, out.String(), "12:30", m.Type)
			box := 0
			for line := range strings.Lines(plain(out.String())) {
				line = strings.TrimRight(line, "\n")
				if !strings.ContainsAny(line, "│╭╰├") {
					continue
				}
				if box == 0 {
					box = columnsOf(cells(line, ""))
				}
				assert.Equal(t, box, columnsOf(cells(line, "")), "%s in %d: %s", m.Type, width, out.String())
			}
			assert.LessOrEqual(t, box, max(width, 24), out.String())
		}
	}
}

// plain takes the colours out.
func plain(text string) string {
	for {
		before, rest, found := strings.Cut(text, "\x1b[")
		if !found {
			return text
		}
		_, after, _ := strings.Cut(rest, "m")
		text = before + after
	}
}

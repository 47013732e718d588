package curl

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Commands as documentation and people write them, and those whose body is elsewhere.
func TestParse(t *testing.T) {
	const body = `{"to":"1"}`
	for _, text := range []string{
		`curl -X POST https://graph.test/v23.0/1/messages -H 'Authorization: Bearer SECRET' -d '{"to":"1"}'`,
		`$ curl 'https://graph.test/v23.0/1/messages' --json='{"to":"1"}'`,
		`curl -sSXPOST --url https://graph.test/v23.0/1/messages --data-raw "{\"to\":\"1\"}" -H "Authorization: Bearer SECRET"`,
		"curl.exe -i ^\r\n https://graph.test/v23.0/1/messages ^\r\n -d '{\"to\":\"1\"}'",
	} {
		require.True(t, Is(text), text)
		c, err := Parse(text)
		require.NoError(t, err, text)
		assert.Equal(t, Command{URL: "https://graph.test/v23.0/1/messages", Data: body}, c, text)
	}
	for text, want := range map[string]string{
		"curl":                    "no body",
		"curl x":                  "no body",
		"curl x -d":               "no value",
		"curl x -d @body.json":    "body.json",
		"curl x -F file=@a.jpg":   "uploads a file",
		"curl x -G --data q=1":    "no JSON body",
		"curl x -d '{}":           "line 1 does not end",
		"curl x \\\n -d \"{}":     "line 2 does not end",
		"$":                       "no command",
		"curl x --data-urlencode": "no value",
	} {
		_, err := Parse(text)
		assert.ErrorContains(t, err, want, text)
	}
	assert.False(t, Is(`{"to":"1"}`))
}

func TestShellWords(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want []string
	}{
		{"a  b\tc", []string{"a", "b", "c"}},
		{"a \\\n b", []string{"a", "b"}},
		{"a \\  \r\n b", []string{"a", "b"}},
		{"a ^\r\n b", []string{"a", "b"}},
		{"a\nb", []string{"a", "b"}},
		{`'a b'"c d"e`, []string{"a bc de"}},
		{`'it'\''s'`, []string{"it's"}},
		{`"a\"b\\c\$d\e"`, []string{`a"b\c$d\e`}},
		{"\"a\\\nb\"", []string{"ab"}},
		{`$'a\nb\'c\u00e9\x41\q'`, []string{"a\nb'cé" + "A" + `\q`}},
		{`''`, []string{""}},
		{`a\ b`, []string{"a b"}},
		{`a^b`, []string{"a^b"}},
		{"", nil},
	} {
		got, err := shellWords(tt.in)
		require.NoError(t, err, tt.in)
		assert.Equal(t, tt.want, got, tt.in)
	}
	for _, in := range []string{`'a`, `"a`, `$'a`, `a "b\"`} {
		_, err := shellWords(in)
		assert.Error(t, err, in)
	}
}

// FuzzParse: whatever is pasted, there is a body or an error.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"curl", "curl -d", "curl -d '{}' x", `curl -d $'\u00e9\x41' x`, "curl ^\r\n x -d \"a\\\nb\""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := Parse(text); err == nil {
			assert.NotEmpty(t, strings.TrimSpace(c.Data))
		}
	})
}

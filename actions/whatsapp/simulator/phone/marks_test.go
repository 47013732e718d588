package phone_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"facteur/actions/whatsapp/simulator/phone"

	"github.com/stretchr/testify/assert"
)

func TestMarks(t *testing.T) {
	show := func(text string) string {
		var out []string
		for _, line := range phone.Lines(text) {
			b := line.Kind
			if b != "" {
				b += line.Label + ":"
			}
			for _, s := range line.Spans {
				open := ""
				for _, style := range []struct {
					on   bool
					mark string
				}{{s.Bold, "b"}, {s.Italic, "i"}, {s.Strike, "s"}, {s.Mono, "m"}, {s.URL != "", "a"}} {
					if style.on {
						open += style.mark
					}
				}
				if open != "" {
					b += "<" + open + " " + s.Text + ">"
				} else {
					b += s.Text
				}
			}
			out = append(out, b)
		}
		return strings.Join(out, "|")
	}
	for text, want := range map[string]string{
		"plain":                                "plain",
		"*bold* _it_ ~no~ `mono`":              "<b bold> <i it> <s no> <m mono>",
		"*a _b ~c~ d_ e*":                      "<b a ><bi b ><bis c><bi  d><b  e>",
		"2*3*4 a_b_c":                          "2*3*4 a_b_c",
		"* not bold*":                          "bullet:not bold*",
		"*not bold *":                          "*not bold *",
		"**x**":                                "*<b x>*",
		"*a*.":                                 "<b a>.",
		"(*a*)":                                "(<b a>)",
		"*un*clos":                             "*un*clos",
		"- one\n* two\n1. three\n> four":       "bullet:one|bullet:two|number1.:three|quote:four",
		"```a\n *b*```":                        "code:<m a>|code:<m  *b*>",
		"x ```a *b*``` *y*":                    "x <m a *b*> <b y>",
		"x\n```a\n```\ny":                      "x|code:<m a>|y",
		"- ```a```":                            "bullet:<m a>",
		"x ```a":                               "x ```a",
		"see https://shop.test/a_b_c?x=1, now": "see <a https://shop.test/a_b_c?x=1>, now",
		"www.shop.test.":                       "<a www.shop.test>.",
		"*https://shop.test*":                  "<ba https://shop.test>",
		"_a https://shop.test/_b_ c_":          "<i a ><ia https://shop.test/_b> c_",
		"`https://shop.test`":                  "<m https://shop.test>",
		"javascript:alert(1)":                  "javascript:alert(1)",
		"a\n\nb":                               "a||b",
		"_é_ *日本*":                             "<i é> <b 日本>",
	} {
		assert.Equal(t, want, show(text), text)
	}
}

// FuzzMarks: no letter of a text is lost but the marks, and nothing takes long.
func FuzzMarks(f *testing.F) {
	for _, seed := range []string{"*a* _b_ ~c~ ```d``` `e`", strings.Repeat("*_~`a", 50), "https://x.test/*a*", "- a\n> b\n1. c", "```"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return // JSON has none
		}
		var shown strings.Builder
		for _, line := range phone.Lines(text) {
			for _, s := range line.Spans {
				shown.WriteString(s.Text)
				if s.URL != "" {
					assert.Regexp(t, `(?i)^https?://`, s.URL)
				}
			}
		}
		letters := func(text string) string {
			return strings.Map(func(r rune) rune {
				if unicode.IsSpace(r) || strings.ContainsRune("*_~`->•.0123456789", r) {
					return -1
				}
				return r
			}, text)
		}
		assert.Equal(t, letters(text), letters(shown.String()))
	})
}

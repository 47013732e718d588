package simulator

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Span is a run of text that looks the same.
type Span struct {
	Text                       string
	Bold, Italic, Strike, Mono bool
	URL                        string // of a link
}

// A Line is a line of a text.
type Line struct {
	Kind  string // "", bullet, number, quote, code
	Label string // of number: "1."
	Spans []Span
}

// Lines reads WhatsApp's marks: *bold*, _italic_, ~strike~, `mono`, ```mono``` over
// several lines, lists, quotes, and links. A mark counts where it stands at the edge of a
// word and something is between it and its other half, as in WhatsApp.
func Lines(text string) []Line {
	var lines []Line
	for i, part := range strings.Split(text, "```") {
		if i%2 == 1 && strings.Count(text, "```") > i {
			for line := range strings.SplitSeq(strings.Trim(part, "\n"), "\n") {
				lines = append(lines, Line{Kind: "code", Spans: []Span{{Text: line, Mono: true}}})
			}
			continue
		}
		if i%2 == 1 {
			part = "```" + part
		}
		if strings.TrimSpace(part) == "" && part != text {
			continue
		}
		if i > 0 {
			part = strings.TrimPrefix(part, "\n")
		}
		if strings.Count(text, "```") > i {
			part = strings.TrimSuffix(part, "\n")
		}
		for line := range strings.SplitSeq(part, "\n") {
			lines = append(lines, lineOf(line))
		}
	}
	return lines
}

var numbered = regexp.MustCompile(`^(\d{1,3}\.) (.*)$`)

func lineOf(text string) Line {
	for _, mark := range []string{"* ", "- ", "• "} {
		if rest, ok := strings.CutPrefix(text, mark); ok && rest != "" {
			return Line{Kind: "bullet", Spans: spans(rest)}
		}
	}
	if rest, ok := strings.CutPrefix(text, "> "); ok {
		return Line{Kind: "quote", Spans: spans(rest)}
	}
	if m := numbered.FindStringSubmatch(text); m != nil {
		return Line{Kind: "number", Label: m[1], Spans: spans(m[2])}
	}
	return Line{Spans: spans(text)}
}

var link = regexp.MustCompile(`(?i)\b(?:https?://|www\.)[^\s<>"]+[^\s<>".,;:!?)'\]*_~` + "`" + `]`)

// spans reads the marks of a line.
func spans(text string) []Span {
	var out []Span
	last := 0
	for _, at := range link.FindAllStringIndex(text, -1) {
		out = append(out, styled(text[last:at[0]], Span{}, 0)...)
		url := text[at[0]:at[1]]
		if strings.HasPrefix(strings.ToLower(url), "www.") {
			url = "https://" + url
		}
		out = append(out, Span{Text: text[at[0]:at[1]], URL: url})
		last = at[1]
	}
	return append(out, styled(text[last:], Span{}, 0)...)
}

// deepest is how deep marks may be nested.
const deepest = 6

// styled reads the marks of a text that looks like style around them.
func styled(text string, style Span, depth int) []Span {
	if text == "" {
		return nil
	}
	alone := "" // marks that have no other half from here on
	for i := 0; i < len(text) && depth < deepest; i++ {
		mark := text[i]
		if !strings.ContainsRune("*_~`", rune(mark)) || strings.IndexByte(alone, mark) >= 0 || !opens(text, i) {
			continue
		}
		end := closes(text, i)
		if end < 0 {
			alone += string(rune(mark))
			continue
		}
		inner := style
		var out []Span
		if i > 0 {
			out = append(out, with(style, text[:i]))
		}
		switch mark {
		case '*':
			inner.Bold = true
		case '_':
			inner.Italic = true
		case '~':
			inner.Strike = true
		case '`':
			inner.Mono = true
			out = append(out, with(inner, text[i+1:end]))
			return append(out, styled(text[end+1:], style, depth)...)
		}
		out = append(out, styled(text[i+1:end], inner, depth+1)...)
		return append(out, styled(text[end+1:], style, depth)...)
	}
	return []Span{with(style, text)}
}

func with(style Span, text string) Span {
	style.Text = text
	return style
}

// opens tells whether a mark stands before a word.
func opens(text string, i int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:i])
	after, _ := utf8.DecodeRuneInString(text[i+1:])
	return (i == 0 || !isWord(before)) && i+1 < len(text) && !unicode.IsSpace(after) && after != rune(text[i])
}

// closes finds the other half of a mark, -1 for none.
func closes(text string, i int) int {
	for j := i + 2; j < len(text); j++ {
		if text[j] != text[i] {
			continue
		}
		before, _ := utf8.DecodeLastRuneInString(text[:j])
		after, _ := utf8.DecodeRuneInString(text[j+1:])
		if !unicode.IsSpace(before) && (j+1 == len(text) || !isWord(after)) {
			return j
		}
	}
	return -1
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

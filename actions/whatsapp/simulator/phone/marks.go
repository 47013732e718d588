package phone

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

var fenced = regexp.MustCompile("(?s)```(.+?)```")

// Lines reads WhatsApp's marks: *bold*, _italic_, ~strike~, `mono`, ```mono``` over
// several lines, lists, quotes, and links. A mark counts where it stands at the edge of a
// word and something is between it and its other half, as in WhatsApp.
func Lines(text string) []Line {
	var lines []Line
	plain := func(part string, ends bool) {
		if len(lines) > 0 {
			part = strings.TrimPrefix(part, "\n")
		}
		if !ends {
			part = strings.TrimSuffix(part, "\n")
		}
		if strings.TrimSpace(part) == "" && part != text {
			return
		}
		for line := range strings.SplitSeq(part, "\n") {
			lines = append(lines, lineOf(line))
		}
	}
	last := 0
	for _, at := range fenced.FindAllStringSubmatchIndex(text, -1) {
		code := text[at[2]:at[3]]
		if !strings.Contains(code, "\n") {
			continue // a mark in its line
		}
		plain(text[last:at[0]], false)
		for line := range strings.SplitSeq(strings.Trim(code, "\n"), "\n") {
			lines = append(lines, Line{Kind: "code", Spans: []Span{{Text: line, Mono: true}}})
		}
		last = at[1]
	}
	plain(text[last:], true)
	return lines
}

// maxBrief is how many characters of a text are shown where it is one of many.
const maxBrief = 80

// abbreviate is the beginning of a text on one line, in its styles; links are but text.
func abbreviate(text string) []Span {
	var all []Span
	for _, line := range Lines(text) {
		all = append(all, Span{Text: " " + line.Label + " "})
		for _, span := range line.Spans {
			span.URL = ""
			all = append(all, span)
		}
	}
	return truncate(all)
}

// truncate leaves so much of a text as is shown in brief, and one space where there were several.
func truncate(all []Span) []Span {
	var out []Span
	left, space := maxBrief, true
	for _, span := range all {
		var b strings.Builder
		for _, r := range span.Text {
			if unicode.IsSpace(r) {
				if space {
					continue
				}
				r = ' '
			}
			space = r == ' '
			if left--; left < 0 {
				b.WriteString("…")
				break
			}
			b.WriteRune(r)
		}
		if span.Text = b.String(); span.Text != "" {
			out = append(out, span)
		}
		if left < 0 {
			break
		}
	}
	return out
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

// spans reads the marks of a line. What looks like a mark in a link is none.
func spans(text string) []Span {
	hidden := link.ReplaceAllStringFunc(text, func(url string) string { return strings.Repeat("x", len(url)) })
	var out []Span
	for _, span := range styled(text, hidden, Span{}, 0) {
		last := 0
		for _, at := range link.FindAllStringIndex(span.Text, -1) {
			if span.Mono {
				break
			}
			if last < at[0] {
				out = append(out, with(span, span.Text[last:at[0]]))
			}
			found := with(span, span.Text[at[0]:at[1]])
			if found.URL = found.Text; strings.HasPrefix(strings.ToLower(found.URL), "www.") {
				found.URL = "https://" + found.URL
			}
			out, last = append(out, found), at[1]
		}
		if last < len(span.Text) {
			out = append(out, with(span, span.Text[last:]))
		}
	}
	return out
}

// maxDepth is how deep marks may be nested.
const maxDepth = 6

// styled reads the marks of a text that looks like style around them; hidden is the text
// without what is no mark.
func styled(text, hidden string, style Span, depth int) []Span {
	if text == "" {
		return nil
	}
	alone := "" // marks that have no other half from here on
	for i := 0; i < len(text) && depth < maxDepth; i++ {
		mark, size, end := hidden[i], 1, -1
		if n := fenceLength(hidden[i:]); n > 0 {
			size, end = 3, i+n-3
		} else if strings.IndexByte("*_~`", mark) >= 0 && strings.IndexByte(alone, mark) < 0 && opensMark(hidden, i) {
			if end = closingMark(hidden, i); end < 0 {
				alone += string(rune(mark))
			}
		}
		if end < 0 {
			continue
		}
		inner, inside := style, depth+1
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
			inside = maxDepth // marks in it are none
		}
		out = append(out, styled(text[i+size:end], hidden[i+size:end], inner, inside)...)
		return append(out, styled(text[end+size:], hidden[end+size:], style, depth)...)
	}
	return []Span{with(style, text)}
}

func with(style Span, text string) Span {
	style.Text = text
	return style
}

// opensMark reports whether a mark stands before a word.
func opensMark(text string, i int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:i])
	after, _ := utf8.DecodeRuneInString(text[i+1:])
	return (i == 0 || !isWord(before)) && i+1 < len(text) && !unicode.IsSpace(after) && after != rune(text[i])
}

// fenceLength is how long the ```mono``` at the beginning of a text is, 0 for none.
func fenceLength(text string) int {
	if !strings.HasPrefix(text, "```") || len(text) < 7 {
		return 0
	}
	n := strings.Index(text[4:], "```")
	if n < 0 {
		return 0
	}
	return 4 + n + 3
}

// closingMark finds the other half of a mark, -1 for none.
func closingMark(text string, i int) int {
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

package flow

import (
	"strings"

	"facteur/flow/diag"

	"gopkg.in/yaml.v3"
)

// reportTag reports an explicit tag.
func (d *document) reportTag(start, end int) {
	if len(d.diags) >= maxCollected {
		return
	}
	line := d.text[strings.LastIndexByte(d.text[:start], '\n')+1 : start]
	before := strings.TrimRight(line, " \t")
	if strings.HasSuffix(before, "if:") || strings.HasSuffix(before, "when:") {
		d.errorf("bad-condition-start", d.at(start, end), quoteHint(d.text[start:d.lineEnd(start)]),
			"a condition that starts with ! must be quoted")
		return
	}
	d.errorf("explicit-tag", d.at(start, end), "remove it, or quote the text", "tags are not part of this language")
}

// checkComment reports a comment after a plain or empty scalar that is probably meant as the
// rest of the text.
func (d *document) checkComment(n *Node) {
	end := n.Range.End
	pos := d.blanks(end)
	if d.peek(pos) != '#' || pos == end {
		return
	}
	stop := d.lineEnd(pos)
	comment := d.text[pos+1 : stop]
	value := n.Text.Value
	open := strings.LastIndex(value, "${")
	unclosed := open >= 0 && closing(value[open:]) < 0
	if !unclosed && !strings.Contains(comment, "${") && strings.IndexAny(comment, " \t#") == 0 || comment == "" {
		return
	}
	hint := "quote the whole text if the # is part of it; if it starts a comment, put a space after it"
	if n.Kind == NullNode {
		d.errorf("truncated-by-comment", d.at(pos, stop), hint, "everything after # is a comment, so there is no value here")
		return
	}
	d.errorf("truncated-by-comment", d.at(pos, stop), hint, "everything after # is a comment, so the value is only %q", value)
}

// splitByComma reports a text inside { } that is split by a comma, so that the rest of it
// becomes keys without values; end is the index in y after those, or i.
func (d *document) splitByComma(n *Node, y *yaml.Node, i int) (end int) {
	last := len(n.Entries) - 1
	if last < 0 || y.Style&yaml.FlowStyle == 0 || n.Entries[last].Value.Kind != TextNode || !n.Entries[last].Value.Text.Plain {
		return i
	}
	value := n.Entries[last].Value
	stop := value.Range.End
	for end = i; end+1 < len(y.Content); end += 2 {
		key, none := y.Content[end], y.Content[end+1]
		after := d.offset(key.Line, key.Column) + len(key.Value)
		if key.Kind != yaml.ScalarNode || key.Style != 0 || none.Kind != yaml.ScalarNode || none.Value != "" || none.Style != 0 ||
			strings.HasPrefix(d.text[d.skipSpace(min(after, len(d.text))):], ":") {
			break
		}
		stop = after
	}
	if end > i {
		n.Range.End = max(n.Range.End, stop)
		d.errorf("unquoted-comma", d.at(value.Range.Start, stop), quoteHint(d.text[value.Range.Start:stop]),
			"inside { } a comma ends the value: this is only %q", value.Text.Value)
	}
	return end
}

// noBreakSpace reports a line that is indented with a no-break space.
func (d *document) noBreakSpace(at int) {
	d.errorf("bad-indent", d.at(at, at+len("\u00a0")), "replace it with a space; text copied from a web page or a chat often contains it",
		"a no-break space cannot indent a line")
}

// missingValue reports a key inside { } without colon and value.
func (d *document) missingValue(key diag.Text, parent, y *yaml.Node, value *Node) {
	if parent.Style&yaml.FlowStyle == 0 || value.Kind != NullNode || y.Kind != yaml.ScalarNode || y.Value != "" || y.Style != 0 {
		return
	}
	if pos := d.skipSpace(key.Whole.End); d.peek(pos) == ':' {
		return
	}
	d.errorf("missing-value", key.Whole, `write key: value; an expression is written "${…}", in quotes`,
		"inside { } the key %q has no value", key.Value)
}

// spacedColon reports a map that is probably meant as a text with a colon in it.
func (d *document) spacedColon(n *Node, y *yaml.Node) {
	if len(n.Entries) != 1 || y.Style&yaml.FlowStyle != 0 || !n.Entries[0].Key.Plain {
		return
	}
	key := n.Entries[0].Key
	pos := d.blanks(key.Whole.End)
	open := strings.LastIndex(key.Value, "${")
	inside := open >= 0 && closing(key.Value[open:]) < 0
	if !inside && pos == key.Whole.End && !strings.HasSuffix(key.Value, "\u00a0") {
		return
	}
	stop := d.lineEnd(pos)
	hint := quoteHint(d.text[key.Whole.Start:stop])
	if isID(key.Value) {
		hint = "if it is a key, write " + key.Value + ": without the space; if it is text, " + hint
	}
	d.errorf("unquoted-colon", d.at(pos, min(pos+1, stop)), hint,
		"text with a colon next to a space must be quoted")
}

// quoteHint shows a text in quotes.
func quoteHint(text string) string {
	text = strings.TrimSpace(text)
	for _, q := range []string{"'", `"`} { // outer quotes of a text that also ends with inner ones
		if strings.HasPrefix(text, q) && strings.HasSuffix(text, q+q) && strings.Count(text, q) > 2 {
			text = text[1 : len(text)-1]
		}
	}
	if quoted, ok := inQuotes(text); ok {
		return "quote it: " + quoted
	}
	return "put the whole text in quotes, or write it on the next line after >-"
}

// inQuotes quotes a text of at most 80 bytes, with quotes that it does not contain.
func inQuotes(text string) (quoted string, ok bool) {
	switch {
	case len(text) > 80:
	case !strings.ContainsAny(text, `"\`):
		return `"` + text + `"`, true
	case !strings.Contains(text, "'"):
		return "'" + text + "'", true
	}
	return "", false
}

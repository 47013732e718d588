package flow

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"facteur/flow/diag"

	"gopkg.in/yaml.v3"
)

// A document converts the nodes of yaml.v3 to nodes with exact positions.
type document struct {
	textView
	source *diag.Source
	diags  diag.List
	cursor struct{ line, col, offset int }

	anchors map[*yaml.Node]*Node // parsed so far; nil while one is being parsed
	nodes   int                  // count, with aliases expanded
	sizes   map[*Node]int
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// readDocument parses the single document of a text. The node is nil if nothing could be
// parsed.
func readDocument(name string, text []byte) (*Node, *diag.Source, diag.List) {
	text = bytes.TrimPrefix(text, byteOrderMark)
	d := &document{source: diag.NewSource(name, text)}
	if !d.checkText(text) {
		return nil, d.source, d.diags
	}
	decoder := yaml.NewDecoder(strings.NewReader(d.text))
	root, err := decode(decoder)
	switch {
	case errors.Is(err, io.EOF):
		d.errorf("empty-file", d.at(0, 0), "", "the file is empty, or has only comments")
		return nil, d.source, d.diags
	case err != nil:
		d.explainSyntaxError(err)
		return nil, d.source, d.diags
	}
	node := d.node(root.Content[0], 1)
	if next, err := decode(decoder); err == nil {
		start := d.offset(next.Line, next.Column)
		d.errorf("multiple-documents", d.at(start, min(start+3, len(d.text))), "move it to a file of its own",
			"a second YAML document starts here, but a file can hold only one")
	} else if !errors.Is(err, io.EOF) {
		d.explainSyntaxError(err)
	}
	return node, d.source, d.diags
}

// decode decodes the next document. yaml.v3 panics on some broken texts.
func decode(decoder *yaml.Decoder) (root *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	root = new(yaml.Node)
	if err := decoder.Decode(root); err != nil {
		return nil, err
	}
	if len(root.Content) == 0 {
		return nil, io.EOF
	}
	return root, nil
}

// checkText checks size, encoding and characters, and sets d.text.
func (d *document) checkText(text []byte) bool {
	if len(text) > maxBytes {
		d.errorf("too-large", d.at(0, 0), "split the flow; `call` runs one flow from another",
			"the file has %d bytes, at most %d are allowed", len(text), maxBytes)
		return false
	}
	if !utf8.Valid(text) {
		i := 0
		for i < len(text) {
			r, size := utf8.DecodeRune(text[i:])
			if r == utf8.RuneError && size == 1 {
				break
			}
			i += size
		}
		d.errorf("invalid-utf8", d.at(i, i+1), "save the file as UTF-8", "byte 0x%02x is not UTF-8", text[i])
		return false
	}
	d.text = string(text)
	ok := true
	for i, r := range d.text {
		switch {
		case r >= ' ' && r < 0x7f, r == '\n', r == '\t', r >= 0xa0 && !isForbidden(r):
		case r == '\r' && i+1 < len(text) && text[i+1] == '\n':
		default:
			ok = false
			d.errorf("control-character", d.at(i, i+utf8.RuneLen(r)),
				`remove it, or write it in double quotes as "`+escape(r)+`"`,
				"the character U+%04X is not allowed in a file", r)
		}
	}
	return ok
}

// errorf reports an error, up to maxCollected.
func (d *document) errorf(code string, at diag.Range, hint, format string, args ...any) {
	if len(d.diags) < maxCollected {
		d.diags.Errorf(code, at, hint, format, args...)
	}
}

// isForbidden reports whether a character is a line break in YAML 1.1, which yaml.v3 follows,
// but not in YAML 1.2, or is not allowed by YAML at all.
func isForbidden(r rune) bool {
	return r == 0x2028 || r == 0x2029 || r == 0xfeff || r == 0xfffe || r == 0xffff
}

func escape(r rune) string {
	if r < 0x100 {
		return fmt.Sprintf(`\x%02x`, r)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

func (d *document) at(start, end int) diag.Range {
	return diag.Range{Source: d.source, Start: start, End: end}
}

// offset converts a line and column of yaml.v3 to a byte offset. Nodes come in the order of
// the text, so it continues from the last one on the same line.
func (d *document) offset(line, col int) int {
	c := &d.cursor
	if c.line != line || c.col > col {
		c.line, c.col, c.offset = line, 1, d.source.LineStart(line)
	}
	for c.col < col && c.offset < len(d.text) {
		size := 1
		if d.text[c.offset] >= utf8.RuneSelf {
			_, size = utf8.DecodeRuneInString(d.text[c.offset:])
		}
		c.offset += size
		c.col++
	}
	return c.offset
}

// node converts a node at a depth, from 1; it is never nil.
func (d *document) node(y *yaml.Node, depth int) *Node {
	if y.Kind == yaml.AliasNode {
		return d.alias(y, depth)
	}
	d.nodes++
	before := d.nodes
	start := d.skipProperties(y)
	n := &Node{Range: d.at(start, start)}
	if y.Anchor != "" {
		if d.anchors == nil {
			d.anchors, d.sizes = map[*yaml.Node]*Node{}, map[*Node]int{}
		}
		d.anchors[y] = nil
	}
	switch y.Kind {
	case yaml.ScalarNode:
		d.scalar(n, y, start)
		if from := d.offset(y.Line, y.Column); from < start && n.Range.Start == n.Range.End && n.Kind == NullNode && d.text[from] == '!' {
			// What was reported as a tag is probably meant as text.
			n.Kind, n.Range, n.Value = TextNode, d.at(from, start), d.text[from:start]
			n.Text = diag.NewText(d.text[from:start], n.Range)
		}
	case yaml.SequenceNode, yaml.MappingNode:
		n.Kind = ListNode
		if y.Kind == yaml.MappingNode {
			n.Kind = MapNode
		}
		if depth > maxDepth {
			if depth == maxDepth+1 {
				d.errorf("too-deep", d.at(start, start+1), "", "values are nested more than %d deep", maxDepth)
			}
			break
		}
		if n.Kind == ListNode {
			d.list(n, y, depth)
		} else {
			d.mapping(n, y, depth)
		}
		if y.Style&yaml.FlowStyle != 0 {
			n.Range.End = d.closingBracket(n.Range.End)
		}
	}
	if y.Anchor != "" {
		d.anchors[y] = n
		d.sizes[n] = d.nodes - before + 1
	}
	return n
}

func (d *document) list(n *Node, y *yaml.Node, depth int) {
	n.Items = make([]*Node, 0, len(y.Content))
	for _, item := range y.Content {
		value := d.node(item, depth+1)
		n.Items = append(n.Items, value)
		n.Range.End = max(n.Range.End, d.childEnd(item, value))
	}
}

func (d *document) mapping(n *Node, y *yaml.Node, depth int) {
	n.Entries = make([]Entry, 0, len(y.Content)/2)
	var index map[string]int // only for large maps
	if len(y.Content) > 32 {
		index = make(map[string]int, len(y.Content)/2)
	}
	for i := 0; i+1 < len(y.Content); i += 2 {
		if end := d.splitByComma(n, y, i); end > i {
			i = end - 2
			continue
		}
		key, ok := d.key(y.Content[i])
		value := d.node(y.Content[i+1], depth+1)
		n.Range.End = max(n.Range.End, key.Whole.End, d.childEnd(y.Content[i+1], value))
		if !ok {
			continue
		}
		d.missingValue(key, y, y.Content[i+1], value)
		first := -1
		if index != nil {
			if k, ok := index[key.Value]; ok {
				first = k
			} else {
				index[key.Value] = len(n.Entries)
			}
		} else {
			first = slices.IndexFunc(n.Entries, func(e Entry) bool { return e.Key.Value == key.Value })
		}
		if first >= 0 {
			d.errorf("duplicate-key", key.Whole, "remove one of them",
				"the key %q is already set on line %d", key.Value, n.Entries[first].Key.Whole.Pos().Line)
			continue
		}
		n.Entries = append(n.Entries, Entry{Key: key, Value: value})
	}
	d.spacedColon(n, y)
}

// childEnd returns where a child ends in the text of its parent. For an alias that is not the
// end of its value.
func (d *document) childEnd(y *yaml.Node, n *Node) int {
	if y.Kind == yaml.AliasNode {
		return d.offset(y.Line, y.Column) + 1 + len(y.Value)
	}
	return n.Range.End
}

// key converts the key of a map; ok is false for an invalid one.
func (d *document) key(y *yaml.Node) (key diag.Text, ok bool) {
	start := d.skipProperties(y)
	here := d.at(start, min(start+1, len(d.text)))
	if y.Kind != yaml.ScalarNode {
		if y.Kind == yaml.MappingNode && strings.HasPrefix(d.text[start:], "{") && start > 0 && d.text[start-1] == '{' {
			d.errorf("unquoted-braces", d.at(start-1, start+1), `put the whole text in quotes: "{{1}}"`,
				"text that starts with {{ must be quoted")
		} else {
			d.errorf("bad-key", here, "quote it if you mean text", "a key must be text")
		}
		return diag.Text{Whole: here}, false
	}
	key = d.locate(y.Value, y.Style, start)
	if rest := strings.TrimLeft(key.Value, "\u00a0"); key.Plain && rest != key.Value {
		d.noBreakSpace(start)
		key = key.Cut(len(key.Value)-len(rest), len(key.Value))
	}
	switch {
	case key.Plain && y.Value == "<<":
		d.errorf("merge-key", key.Whole, "write the keys out", "merge keys are not part of this language")
		return key, false
	case key.Plain && isNull(y.Value):
		d.errorf("null-key", diag.Range{Source: d.source, Start: key.Whole.Start, End: max(key.Whole.End, here.End)},
			"quote it if you mean text", "a key cannot be null")
		return key, false
	}
	return key, true
}

// alias returns the node that an alias refers to.
func (d *document) alias(y *yaml.Node, depth int) *Node {
	start := d.offset(y.Line, y.Column)
	here := d.at(start, start+1+len(y.Value))
	target := d.anchors[y.Alias]
	if target == nil {
		d.errorf("too-many-aliases", here, "", "*%s repeats a value that contains it", y.Value)
		return &Node{Range: here}
	}
	if d.nodes < maxNodes {
		d.nodes += d.sizes[target]
		if d.nodes >= maxNodes {
			d.errorf("too-many-aliases", here, "write the values out, or move the repeated steps to a flow and `call` it",
				"with all aliases expanded, the file has more than %d values", maxNodes)
		}
	}
	if d.nodes >= maxNodes {
		return &Node{Range: here}
	}
	if depth+height(target) > maxDepth {
		d.errorf("too-deep", here, "", "values are nested more than %d deep", maxDepth)
		return &Node{Range: here}
	}
	return target
}

// height is the number of levels below a node.
func height(n *Node) int {
	levels := 0
	for _, item := range n.Items {
		levels = max(levels, 1+height(item))
	}
	for _, e := range n.Entries {
		levels = max(levels, 1+height(e.Value))
	}
	return levels
}

// skipProperties returns where a value starts, after its anchor and tag, and reports the tag.
func (d *document) skipProperties(y *yaml.Node) int {
	start := d.offset(y.Line, y.Column)
	pos := start
	for pos < len(d.text) && (d.text[pos] == '&' || d.text[pos] == '!') && y.Kind != yaml.AliasNode {
		end := d.wordEnd(pos)
		if d.text[pos] == '!' {
			d.reportTag(pos, end)
		}
		if y.Kind == yaml.ScalarNode && y.Value == "" && y.Style&^yaml.TaggedStyle == 0 {
			return end
		}
		pos = d.skipSpace(end)
	}
	return pos
}

// skipSpace skips blanks, line breaks and comments.
func (d *document) skipSpace(pos int) int {
	for {
		switch {
		case d.isSpace(pos):
			pos++
		case d.peek(pos) == '#':
			pos = d.lineEnd(pos)
		default:
			return pos
		}
	}
}

// closingBracket returns the end of a flow collection whose last child ends at pos.
func (d *document) closingBracket(pos int) int {
	for {
		pos = d.skipSpace(pos)
		switch d.peek(pos) {
		case 0:
			return pos
		case ']', '}':
			return pos + 1
		}
		pos++
	}
}

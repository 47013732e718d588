package flow

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"facteur/flow/diag"

	"gopkg.in/yaml.v3"
)

// explainSyntaxError reports why yaml.v3 refused a text. The line in its error is often that
// of an outer value, so the likely mistakes are searched for first.
func (d *document) explainSyntaxError(err error) {
	before := len(d.diags)
	s := lineScanner{textView: d.textView, d: d}
	s.scan()
	if len(d.diags) > before {
		return
	}
	message, line := yamlMessage(err)
	if strings.Contains(message, "exceeded max depth") {
		d.errorf("too-deep", d.lineRange(line), "", "values are nested more than %d deep", maxDepth)
		return
	}
	at := d.lineRange(line)
	if i, ok := d.firstFailing(err.Error()); ok {
		at = d.at(i, min(i+1, len(d.text)))
	}
	hint := ""
	if strings.Contains(message, "cannot start any token") || strings.Contains(message, "expected alphabetic or numeric character") {
		hint = "quote the text"
	}
	d.errorf("yaml-syntax", at, hint, "this is not YAML: %s", reworded(message))
}

var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

func yamlMessage(err error) (message string, line int) {
	m := yamlError.FindStringSubmatch(err.Error())
	if m == nil {
		return err.Error(), 0
	}
	line, _ = strconv.Atoi(m[1])
	return m[2], line
}

// lineRange returns the content of a line, from 1, or of the last one.
func (d *document) lineRange(line int) diag.Range {
	last := strings.LastIndexByte(d.text, '\n') + 1
	start := min(d.source.LineStart(line), last)
	end := d.lineEnd(start)
	text := d.text[start:end]
	start += len(text) - len(strings.TrimLeft(text, " \t"))
	return d.at(start, end)
}

// maxBisected bounds the texts that firstFailing parses repeatedly, in bytes.
const maxBisected = 64 << 10

// firstFailing bisects for the last byte of the shortest prefix of the text that fails with
// the same message: the place where yaml.v3 fails.
func (d *document) firstFailing(message string) (at int, ok bool) {
	if len(d.text) > maxBisected {
		return 0, false
	}
	fails := func(n int) bool {
		decoder := yaml.NewDecoder(strings.NewReader(d.text[:n]))
		for {
			if _, err := decode(decoder); err != nil {
				return err.Error() == message
			}
		}
	}
	low, high := 0, len(d.text) // low passes, high fails
	for high-low > 1 {
		if middle := (low + high) / 2; fails(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	at = low
	for at > 0 && (at == len(d.text) || strings.IndexByte(" \t\r\n", d.text[at]) >= 0) {
		at--
	}
	return at, true
}

// reworded rewrites yaml.v3's message for people.
func reworded(message string) string {
	for _, w := range [...]struct{ has, say string }{
		{"mapping values are not allowed", "a key is not allowed here"},
		{"did not find expected key", "expected a key here; check the indentation"},
		{"did not find expected '-' indicator", "expected a dash here; check the indentation"},
		{"block sequence entries are not allowed", "a list cannot start here"},
		{"block collection entries are not allowed", "a list cannot start here"},
		{"did not find expected ',' or", "expected a comma or the closing bracket here"},
		{"could not find expected ':'", "this key has no colon"},
		{"found character that cannot start any token", "no value can start with this character"},
		{"did not find expected alphabetic or numeric character", "expected a name after * or &"},
		{"did not find expected node content", "expected a value here"},
		{"unknown anchor", message},
	} {
		if strings.Contains(message, w.has) {
			return w.say
		}
	}
	return fmt.Sprintf("%s here", message)
}

package record

import (
	"slices"
	"strconv"
	"strings"

	"facteur/flow/schema"
)

// A Difference is one place where a request differs from a recorded one.
type Difference struct {
	Path     string `json:"path"`               // method, url, path, step, body, or as json.contacts[0].name
	Recorded string `json:"recorded,omitempty"` // as JSON or as a matcher; "": not recorded
	Sent     string `json:"sent,omitempty"`     // as JSON; "": not sent
}

func (d Difference) String() string {
	recorded, sent := window(d.Recorded, d.Sent)
	switch {
	case d.Recorded == "":
		return d.Path + ": not recorded, sent " + sent
	case d.Sent == "":
		return d.Path + ": recorded " + recorded + ", not sent"
	}
	return d.Path + ": recorded " + recorded + ", sent " + sent
}

// A differ compares a matcher with a value. It builds paths only for differences.
type differ struct {
	names     []string // volatile paths
	stopFirst bool     // stop at the first difference, without filling found

	path  []step
	found []Difference
	count int // of differing fields; a missing or unexpected part counts its scalars
}

// A step of a path leads to a key, or to an index if that is not negative.
type step struct {
	key   string
	index int
}

func (d *differ) enter(key string) { d.path = append(d.path, step{key, -1}) }
func (d *differ) enterIndex(i int) { d.path = append(d.path, step{"", i}) }
func (d *differ) leave()           { d.path = d.path[:len(d.path)-1] }
func (d *differ) done() bool       { return d.stopFirst && d.count > 0 }

func (d *differ) add(diff Difference, weight int) {
	d.count += weight
	if d.stopFirst {
		return
	}
	diff.Path = d.pathString()
	if d.secret() {
		diff.Recorded, diff.Sent = hidden(diff.Recorded), hidden(diff.Sent)
	}
	d.found = append(d.found, diff)
}

func (d *differ) different(m Matcher, sent any) {
	if d.stopFirst {
		d.count++
		return
	}
	d.add(Difference{Recorded: m.String(), Sent: formatJSON(sent)}, 1)
}

func (d *differ) missing(m Matcher) {
	if d.stopFirst {
		d.count++
		return
	}
	d.add(Difference{Recorded: m.String()}, countScalars(m))
}

func (d *differ) unexpected(sent any) {
	if d.stopFirst {
		d.count++
		return
	}
	d.add(Difference{Sent: formatJSON(sent)}, countSentScalars(sent))
}

func (d *differ) pathString() string {
	var b strings.Builder
	for i, s := range d.path {
		switch {
		case s.index >= 0:
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		case i > 0:
			b.WriteString("." + s.key)
		default:
			b.WriteString(s.key)
		}
	}
	return b.String()
}

// volatile reports whether the path, without its first step, is one of the volatile ones.
func (d *differ) volatile() bool {
	if len(d.names) == 0 {
		return false
	}
	return slices.ContainsFunc(d.names, func(name string) bool {
		rest, started := name, false
		for _, s := range d.path[1:] {
			if s.index >= 0 {
				continue
			}
			if started {
				if !strings.HasPrefix(rest, ".") {
					return false
				}
				rest = rest[1:]
			}
			if !strings.HasPrefix(rest, s.key) {
				return false
			}
			rest, started = rest[len(s.key):], true
		}
		return started && rest == ""
	})
}

// secret reports whether the value at the path must not be shown.
func (d *differ) secret() bool {
	return len(d.path) > 1 && d.path[0].key != "json" && secretName(d.path[1].key)
}

// formatJSON formats a value as compact JSON.
func formatJSON(v any) string {
	text, err := schema.AppendJSON(nil, v)
	if err != nil {
		return "?"
	}
	return string(text)
}

func hidden(s string) string {
	if s == "" {
		return ""
	}
	return Hidden
}

// Long values are truncated, starting shortly before the first difference.
const (
	maxShown = 100 // code points
	lead     = 20
)

func window(a, b string) (string, string) {
	x, y := []rune(a), []rune(b)
	if len(x) <= maxShown && len(y) <= maxShown {
		return a, b
	}
	same := 0
	for same < len(x) && same < len(y) && x[same] == y[same] {
		same++
	}
	from := max(0, same-lead)
	if len(x) == 0 || len(y) == 0 {
		from = 0
	}
	return truncate(x, from), truncate(y, from)
}

func truncate(r []rune, from int) string {
	before, after := "", ""
	if from = min(from, len(r)); from > 0 {
		before = "…"
	}
	to := min(len(r), from+maxShown)
	if to < len(r) {
		after = "…"
	}
	return before + string(r[from:to]) + after
}

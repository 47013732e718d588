package diag

import (
	"bytes"
	"fmt"
	"sort"
	"strings"
	"sync"
	"unicode/utf8"
)

// A Source is a named text, usually a file, that ranges point into.
type Source struct {
	Name string // as shown to people, e.g. "examples/shop/order_shipped.flow.yaml"
	Text []byte

	once  sync.Once
	lines []int // offset of each line's first byte
}

// NewSource returns a source over text, which must not change afterwards.
func NewSource(name string, text []byte) *Source {
	return &Source{Name: name, Text: text}
}

func (s *Source) index() []int {
	s.once.Do(func() {
		s.lines = append(s.lines, 0)
		for i, b := range s.Text {
			if b == '\n' {
				s.lines = append(s.lines, i+1)
			}
		}
	})
	return s.lines
}

// Pos converts a byte offset to a line and column. Both count from 1; columns count code
// points. An offset past the end is the end.
func (s *Source) Pos(offset int) Pos {
	lines := s.index()
	offset = min(max(offset, 0), len(s.Text))
	n := sort.Search(len(lines), func(i int) bool { return lines[i] > offset })
	start := lines[n-1]
	return Pos{Line: n, Col: utf8.RuneCount(s.Text[start:offset]) + 1}
}

// LineStart returns the byte offset of a line, from 1.
func (s *Source) LineStart(line int) int {
	lines := s.index()
	if line < 1 {
		return 0
	}
	if line > len(lines) {
		return len(s.Text)
	}
	return lines[line-1]
}

// Line returns the text of a line, from 1, without its line break.
func (s *Source) Line(n int) string {
	lines := s.index()
	if n < 1 || n > len(lines) {
		return ""
	}
	line := s.Text[lines[n-1]:]
	if end := bytes.IndexByte(line, '\n'); end >= 0 {
		line = line[:end]
	}
	return strings.TrimSuffix(string(line), "\r")
}

// Pos is a position in a source as people count it: from 1, columns in code points.
type Pos struct {
	Line int `json:"line"`
	Col  int `json:"col"`
}

// A Range is a part of a source, from byte Start up to but not including End. The zero Range
// is no particular place.
type Range struct {
	Source     *Source
	Start, End int
}

// Pos returns the start of the range, or the zero Pos without a source.
func (r Range) Pos() Pos {
	if r.Source == nil {
		return Pos{}
	}
	return r.Source.Pos(r.Start)
}

// File returns the name of the source, or "" without one.
func (r Range) File() string {
	if r.Source == nil {
		return ""
	}
	return r.Source.Name
}

// Position formats the start of the range as file:line:col; "" without a source.
func (r Range) Position() string {
	if r.Source == nil {
		return ""
	}
	at := r.Pos()
	return fmt.Sprintf("%s:%d:%d", r.Source.Name, at.Line, at.Col)
}

// First returns the first byte of the range.
func (r Range) First() Range {
	r.End = min(r.Start+1, r.End)
	return r
}

package diag

import "sort"

// Text is a string that knows its positions: each byte of Value comes from a
// place in a source, also where the source wrote it with escapes, folded lines
// or indentation.
type Text struct {
	Value string
	// Whole is the range of the text as written, quotes included.
	Whole Range
	// Plain says that the source wrote the text without quotes and not as a block.
	Plain bool

	marks []Mark
}

// A Mark says that the bytes of a Text's value from At on come, byte for byte,
// from Offset on in the source, until the next mark.
type Mark struct{ At, Offset int }

// NewText returns a text whose bytes are placed by marks, which are sorted by At.
// Without marks the value stands byte for byte at the start of whole.
func NewText(value string, whole Range, marks ...Mark) Text {
	return Text{Value: value, Whole: whole, marks: marks}
}

// Generated returns a text that no source holds; its ranges are all at.
func Generated(value string, at Range) Text {
	return Text{Value: value, Whole: at, marks: []Mark{{At: 0, Offset: -1}}}
}

func (t Text) offset(i int) int {
	if len(t.marks) == 0 {
		return t.Whole.Start + i
	}
	n := sort.Search(len(t.marks), func(k int) bool { return t.marks[k].At > i })
	if n == 0 {
		return t.Whole.Start
	}
	m := t.marks[n-1]
	if m.Offset < 0 {
		return -1
	}
	return m.Offset + i - m.At
}

// Range returns where the bytes i to j of the value stand in the source.
func (t Text) Range(i, j int) Range {
	i = min(max(i, 0), len(t.Value))
	j = min(max(j, i), len(t.Value))
	start := t.offset(i)
	if start < 0 {
		return t.Whole
	}
	end := start
	if j > i {
		end = t.offset(j-1) + 1
	}
	return Range{Source: t.Whole.Source, Start: start, End: max(start, end)}
}

// Cut returns the text of the bytes i to j of the value, with their positions.
func (t Text) Cut(i, j int) Text {
	cut := Text{Value: t.Value[i:j], Whole: t.Range(i, j), Plain: t.Plain}
	if t.offset(0) < 0 {
		cut.Whole, cut.marks = t.Whole, t.marks
		return cut
	}
	cut.marks = append(cut.marks, Mark{At: 0, Offset: t.offset(i)})
	first := sort.Search(len(t.marks), func(k int) bool { return t.marks[k].At > i })
	for _, m := range t.marks[first:] {
		if m.At >= j {
			break
		}
		cut.marks = append(cut.marks, Mark{At: m.At - i, Offset: m.Offset})
	}
	return cut
}

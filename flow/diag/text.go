package diag

import "sort"

// Text is a string that knows its positions: each byte of Value has a position in a source,
// even if the source wrote it with escapes, folded lines or indentation.
type Text struct {
	Value string
	// Whole is the range of the text as written, including quotes.
	Whole Range
	// Plain says that the text was written without quotes and not as a block.
	Plain bool

	segments []Segment
}

// A Segment says that the bytes of a Text's value from ValueOffset on are the bytes of the
// source from SourceOffset on, up to the next segment.
type Segment struct{ ValueOffset, SourceOffset int }

// NewText returns a text that is mapped by segments, sorted by ValueOffset. Without segments,
// the value is byte for byte at the start of whole.
func NewText(value string, whole Range, segments ...Segment) Text {
	return Text{Value: value, Whole: whole, segments: segments}
}

// Generated returns a text that is in no source; all its ranges are at.
func Generated(value string, at Range) Text {
	return Text{Value: value, Whole: at, segments: []Segment{{ValueOffset: 0, SourceOffset: -1}}}
}

func (t Text) offset(i int) int {
	if len(t.segments) == 0 {
		return t.Whole.Start + i
	}
	n := sort.Search(len(t.segments), func(k int) bool { return t.segments[k].ValueOffset > i })
	if n == 0 {
		return t.Whole.Start
	}
	m := t.segments[n-1]
	if m.SourceOffset < 0 {
		return -1
	}
	return m.SourceOffset + i - m.ValueOffset
}

// Range returns the range of the bytes i to j of the value in the source.
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

// Cut returns the bytes i to j of the value, with their positions.
func (t Text) Cut(i, j int) Text {
	cut := Text{Value: t.Value[i:j], Whole: t.Range(i, j), Plain: t.Plain}
	if t.offset(0) < 0 {
		cut.Whole, cut.segments = t.Whole, t.segments
		return cut
	}
	cut.segments = append(cut.segments, Segment{ValueOffset: 0, SourceOffset: t.offset(i)})
	first := sort.Search(len(t.segments), func(k int) bool { return t.segments[k].ValueOffset > i })
	for _, m := range t.segments[first:] {
		if m.ValueOffset >= j {
			break
		}
		cut.segments = append(cut.segments, Segment{ValueOffset: m.ValueOffset - i, SourceOffset: m.SourceOffset})
	}
	return cut
}

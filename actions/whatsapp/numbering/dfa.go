package numbering

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
)

// A dfa is a regular expression over digits as a table of where each digit leads. A number
// is read for each message, and package regexp takes ten times as long for it.
type dfa struct {
	next [][10]uint16 // by state; 0 is where nothing leads on from, 1 where a text begins
	ends []bool       // by state: a text may end here
}

// newDFA returns the shape of the texts that match the expression as a whole; of one that
// cannot be read it is that of none.
func newDFA(expression string) *dfa {
	s := &dfa{}
	parsed, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return s
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return s
	}
	known := map[string]uint16{}
	var ways []stateSet // by state
	state := func(w stateSet) uint16 {
		n, ok := known[w.key()]
		if !ok {
			n = uint16(len(ways))
			known[w.key()], ways, s.next = n, append(ways, w), append(s.next, [10]uint16{})
			s.ends = append(s.ends, slices.ContainsFunc(w, func(pc uint32) bool { return prog.Inst[pc].Op == syntax.InstMatch }))
		}
		return n
	}
	state(nil)
	state(stateSet{}.add(prog, uint32(prog.Start), make([]bool, len(prog.Inst))))
	for n := 1; n < len(ways); n++ {
		for digit := range 10 {
			var after stateSet
			seen := make([]bool, len(prog.Inst))
			for _, pc := range ways[n] {
				if in := &prog.Inst[pc]; in.MatchRune('0' + rune(digit)) {
					after = after.add(prog, in.Out, seen)
				}
			}
			s.next[n][digit] = state(after)
		}
	}
	return s
}

// A stateSet is the instructions, each for a character or for the end, that a text may have
// come to.
type stateSet []uint32

// add adds what an instruction leads to without a character, unless it was seen.
func (w stateSet) add(prog *syntax.Prog, pc uint32, seen []bool) stateSet {
	if seen[pc] {
		return w
	}
	seen[pc] = true
	switch in := &prog.Inst[pc]; in.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		return w.add(prog, in.Out, seen).add(prog, in.Arg, seen)
	case syntax.InstCapture, syntax.InstNop:
		return w.add(prog, in.Out, seen)
	}
	return append(w, pc)
}

func (w stateSet) key() string {
	var key []byte
	for _, pc := range w {
		key = binary.AppendUvarint(key, uint64(pc))
	}
	return string(key)
}

func (s *dfa) matches(text string) bool {
	if len(s.next) == 0 {
		return false
	}
	at := uint16(1)
	for i := 0; i < len(text) && at != 0; i++ {
		digit := text[i] - '0'
		if digit > 9 {
			return false
		}
		at = s.next[at][digit]
	}
	return s.ends[at]
}

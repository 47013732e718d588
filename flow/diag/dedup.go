package diag

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Deduplicate returns the list with diagnostics of the same subject merged into the first,
// whose hint lists the other lines. Editors want all of them, people one for each mistake.
func (l List) Deduplicate() List {
	type key struct{ file, code, subject string }
	first := map[key]int{} // in out
	var out List
	var lines [][]int
	for _, d := range l {
		k := key{d.Range.File(), d.Code, d.Subject}
		i, again := first[k]
		if d.Subject == "" || !again {
			first[k] = len(out)
			out, lines = append(out, d), append(lines, nil)
			continue
		}
		if line := d.Range.Pos().Line; line != out[i].Range.Pos().Line && !slices.Contains(lines[i], line) {
			lines[i] = append(lines[i], line)
		}
	}
	for i, lines := range lines {
		if len(lines) > 0 {
			out[i].Hint = strings.TrimPrefix(out[i].Hint+"; "+alsoIn(lines), "; ")
		}
	}
	return out
}

func alsoIn(lines []int) string {
	const maxListed = 8
	texts := make([]string, 0, maxListed)
	for _, line := range lines[:min(maxListed, len(lines))] {
		texts = append(texts, strconv.Itoa(line))
	}
	last := len(texts) - 1
	switch more := len(lines) - maxListed; {
	case more > 0:
		return fmt.Sprintf("also on lines %s and %d more", strings.Join(texts, ", "), more)
	case last == 0:
		return "also on line " + texts[0]
	}
	return "also on lines " + strings.Join(texts[:last], ", ") + " and " + texts[last]
}

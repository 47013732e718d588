package diag

import (
	"fmt"
	"slices"
	"strings"
)

// Suggest returns the known name that is closest to name, or "" if none is close enough to be
// meant. It also returns one that name is the beginning or the end of. A name of one letter
// only matches itself, ignoring case. The result does not depend on the order of known.
func Suggest(name string, known []string) string {
	folded := fold(name)
	best, least := "", 1+max(1, len(folded)/3)
	if len(folded) == 1 {
		least = 1
	}
	for _, k := range known {
		d := distance(folded, fold(k), least+1)
		if d < least || d == least && best != "" && k < best {
			best, least = k, d
		}
	}
	if best == "" {
		best = byPartOfName(string(folded), known)
	}
	return best
}

// byPartOfName returns the known name before a dot in name, or the only known name that begins
// with name or ends with it as a separate word; "" if there is none, or several.
func byPartOfName(name string, known []string) string {
	if len(name) < 3 {
		return ""
	}
	found, beforeDot := "", ""
	several := false
	for _, k := range known {
		whole := string(fold(k))
		before, ends := strings.CutSuffix(whole, name)
		if strings.HasPrefix(name, whole+".") { // such as a file name with its extension
			beforeDot = max(beforeDot, k)
			continue
		}
		if !strings.HasPrefix(whole, name) && !(ends && strings.ContainsAny(before[max(0, len(before)-1):], "_.")) {
			continue
		}
		several = several || found != ""
		found = k
	}
	switch {
	case beforeDot != "":
		return beforeDot
	case several:
		return ""
	}
	return found
}

// DidYouMean returns the hint for an unknown name: the closest known one, then all of them, as
// `did you mean "phone"? inputs: name, order_id, phone`. It is "" if none is known.
func DidYouMean(name, what string, known []string) string {
	if len(known) == 0 {
		return ""
	}
	sorted := slices.Clone(known)
	slices.Sort(sorted)
	const maxListed = 16
	tail := ""
	if len(sorted) > maxListed {
		sorted, tail = sorted[:maxListed], fmt.Sprintf(", … (%d in all)", len(known))
	}
	hint := fmt.Sprintf("%s: %s%s", what, strings.Join(sorted, ", "), tail)
	if near := Suggest(name, known); near != "" {
		hint = fmt.Sprintf("did you mean %q? %s", near, hint)
	}
	return hint
}

// NamesSecret reports whether the value of a key with this name is probably a secret, so that
// its line must not be logged.
func NamesSecret(name string) bool {
	switch fold := string(fold(name)); {
	case strings.HasSuffix(fold, "token"), strings.HasSuffix(fold, "secret"), strings.HasSuffix(fold, "password"),
		strings.HasSuffix(fold, "api_key"), fold == "apikey", fold == "authorization", fold == "credentials":
		return true
	}
	return false
}

func fold(s string) []rune {
	return []rune(strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return '_'
		}
		return r
	}, strings.ToLower(s)))
}

// distance is the edit distance with transpositions, at most limit.
func distance(a, b []rune, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	prev2 := make([]int, len(b)+1)
	prev := make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
		prev2, prev, row = prev, row, prev2
	}
	return prev[len(b)]
}

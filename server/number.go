package server

import (
	"maps"
	"slices"
	"strings"
)

// numbers hides phone numbers: texts of a plus and 7 to 15 digits, the same digits
// without it once they are known, and digits in fields that hold contacts.
type numbers map[string]bool // digits of known numbers

const (
	leastDigits = 7
	mostDigits  = 15
)

// learn remembers the numbers that are whole texts.
func (n numbers) learn(v any) {
	switch v := v.(type) {
	case string:
		if digits, ok := strings.CutPrefix(v, "+"); ok && allDigits(digits) {
			n[digits] = true
		}
	case map[string]any:
		for _, x := range v {
			n.learn(x)
		}
	case []any:
		for _, x := range v {
			n.learn(x)
		}
	}
}

// find remembers the numbers with a plus that stand in a text.
func (n numbers) find(s string) {
	for {
		_, rest, found := strings.Cut(s, "+")
		if !found {
			return
		}
		s = rest
		end := 0
		for end < len(s) && isDigit(s[end]) {
			end++
		}
		if allDigits(s[:end]) {
			n[s[:end]] = true
		}
	}
}

// value hides the numbers in a value as JSON has it. name is that of its field.
func (n numbers) value(v any, name string) any {
	switch v := v.(type) {
	case string:
		if isContact(name) && allDigits(v) {
			return starred(v)
		}
		return n.text(v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			out[n.text(key)] = n.value(v[key], key)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = n.value(x, name)
		}
		return out
	}
	return v
}

// isContact tells of fields that hold a contact, also without a plus.
func isContact(name string) bool {
	switch name {
	case "wa_id", "recipient_id", "recipient", "from", "to", "input", "phone", "phone_number", "msisdn":
		return true
	}
	return false
}

// text hides the numbers in a text.
func (n numbers) text(s string) string {
	if len(n) == 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
	var out strings.Builder
	kept := 0
	for i := 0; i < len(s); {
		if !isDigit(s[i]) {
			i++
			continue
		}
		start := i
		for i < len(s) && isDigit(s[i]) {
			i++
		}
		digits := s[start:i]
		plus := start > 0 && s[start-1] == '+'
		if len(digits) < leastDigits || len(digits) > mostDigits || !plus && !n[digits] {
			continue
		}
		out.WriteString(s[kept:start])
		out.WriteString(starred(digits))
		kept = i
	}
	if kept == 0 {
		return s
	}
	out.WriteString(s[kept:])
	return out.String()
}

// starred hides all but the last digits.
func starred(digits string) string {
	const shown = 2
	return strings.Repeat("*", len(digits)-shown) + digits[len(digits)-shown:]
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func allDigits(s string) bool {
	if len(s) < leastDigits || len(s) > mostDigits {
		return false
	}
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

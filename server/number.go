package server

import (
	"maps"
	"slices"
	"strings"
)

// numbers hides phone numbers: texts of a plus and 7 to 20 digits, the same digits without
// it once they are known, digits alone in quotes, as in complaints about them, and digits
// in fields that hold contacts.
type numbers map[string]bool // digits of known numbers

const (
	leastDigits  = 7
	mostDigits   = 20 // also of what is too long
	leastQuoted  = 8
	mostQuoted   = 14 // the ids of numbers and accounts at Meta have 15 and more
	mostContact  = 15
	separators   = " -.()/"
	mostBetween  = 3 // separators between two digits
	shownDigits  = 2
	numberPrefix = '+'
)

// learn remembers the numbers that are whole texts, those in fields that hold contacts also
// without a plus. name is that of the field.
func (n numbers) learn(v any, name string) {
	switch v := v.(type) {
	case string:
		if digits, ok := wholeNumber(v); ok && (v[0] == numberPrefix || isContact(name) && isBare(v)) {
			n[digits] = true
		}
	case map[string]any:
		for key, x := range v {
			n.learn(x, key)
		}
	case []any:
		for _, x := range v {
			n.learn(x, name)
		}
	}
}

// isSuspect tells of a text that a number may stand in, or begin with: what is in none of
// several texts is hidden in none of them.
func isSuspect(s string) bool {
	return strings.IndexByte(s, numberPrefix) >= 0 || strings.IndexByte(s, '"') >= 0
}

// find remembers the numbers with a plus that stand in a text.
func (n numbers) find(s string) {
	for {
		at := strings.IndexByte(s, numberPrefix)
		if at < 0 {
			return
		}
		s = s[at+1:]
		if digits, _ := leadingNumber(s); len(digits) >= leastDigits && len(digits) <= mostDigits {
			n[digits] = true
		}
	}
}

// wholeNumber gives the digits of a text that is a number as people write it.
func wholeNumber(s string) (digits string, ok bool) {
	digits, length := leadingNumber(strings.TrimPrefix(s, "+"))
	return digits, len(digits) >= leastDigits && len(digits) <= mostContact && length == len(strings.TrimPrefix(s, "+"))
}

// isBare tells of a number without a plus that it is no date: those have separators, and
// numbers that have them begin with 0.
func isBare(s string) bool {
	return s[0] == '0' || s[0] != numberPrefix && strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

// leadingNumber gives the digits that a text begins with, without what people write between
// them, and how much of the text that is. What would make too many digits is left out.
func leadingNumber(s string) (digits string, length int) {
	for at := 0; ; {
		run := at
		for run < len(s) && isDigit(s[run]) {
			run++
		}
		if at > 0 && (run == at || len(digits)+run-at > mostContact) {
			return digits, length
		}
		digits, length = digits+s[at:run], run
		for at = run; at < len(s) && at-run < mostBetween && strings.IndexByte(separators, s[at]) >= 0; {
			at++
		}
		if at == run {
			return digits, length
		}
	}
}

// value hides the numbers in a value as JSON has it. name is that of its field.
func (n numbers) value(v any, name string) any {
	switch v := v.(type) {
	case string:
		if digits, ok := wholeNumber(v); ok && isContact(name) && isBare(v) {
			return starred(digits)
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
	var out strings.Builder
	kept := 0
	for i := 0; i < len(s); {
		if !isDigit(s[i]) {
			i++
			continue
		}
		digits, length := n.hidden(s, i)
		if digits != "" {
			out.WriteString(s[kept:i])
			out.WriteString(starred(digits))
			kept = i + length
		}
		i += length
	}
	if kept == 0 {
		return s
	}
	out.WriteString(s[kept:])
	return out.String()
}

// hidden gives the digits to hide at a place of a text, "" for none, and how much of it was
// looked at.
func (n numbers) hidden(s string, at int) (digits string, length int) {
	if at > 0 && s[at-1] == numberPrefix {
		if digits, length = leadingNumber(s[at:]); len(digits) >= leastDigits && len(digits) <= mostDigits {
			return digits, length
		}
	}
	for length = 0; at+length < len(s) && isDigit(s[at+length]); {
		length++
	}
	digits = s[at : at+length]
	quoted := at > 0 && s[at-1] == '"' && strings.HasPrefix(strings.TrimPrefix(s[at+length:], `\`), `"`) &&
		length >= leastQuoted && length <= mostQuoted
	if quoted || n[digits] {
		return digits, length
	}
	return "", length
}

// starred hides all but the last digits.
func starred(digits string) string {
	return strings.Repeat("*", len(digits)-shownDigits) + digits[len(digits)-shownDigits:]
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

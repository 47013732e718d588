package server

import (
	"maps"
	"slices"
	"strings"
)

// phoneNumbers hides phone numbers: texts of a plus and 7 to 20 digits, the same digits without
// it once they are known, digits alone in quotes, as in complaints about them, and digits
// in fields that hold contacts.
type phoneNumbers map[string]bool // digits of known numbers

const (
	minDigits        = 7
	maxDigits        = 20 // also of what is too long
	minQuoted        = 8
	maxQuoted        = 14 // the ids of numbers and accounts at Meta have 15 and more
	maxContactDigits = 15
	separators       = " -.()/"
	maxSeparators    = 3 // separators between two digits
	shownDigits      = 2
	numberPrefix     = '+'
)

// add collects the strings that are numbers as a whole; in fields that hold contacts also those
// without a plus. name is the field's.
func (n phoneNumbers) add(v any, name string) {
	switch v := v.(type) {
	case string:
		if digits, ok := wholeNumber(v); ok && (v[0] == numberPrefix || isContact(name) && isNotDate(v)) {
			n[digits] = true
		}
	case map[string]any:
		for key, x := range v {
			n.add(x, key)
		}
	case []any:
		for _, x := range v {
			n.add(x, name)
		}
	}
}

// mayHoldNumber is a quick check: if it is false of all texts that belong together, none of them
// has anything to hide.
func mayHoldNumber(s string) bool {
	return strings.IndexByte(s, numberPrefix) >= 0 || strings.IndexByte(s, '"') >= 0
}

// find collects the numbers with a plus in a text.
func (n phoneNumbers) find(s string) {
	for {
		at := strings.IndexByte(s, numberPrefix)
		if at < 0 {
			return
		}
		s = s[at+1:]
		if digits, _ := leadingNumber(s); len(digits) >= minDigits && len(digits) <= maxDigits {
			n[digits] = true
		}
	}
}

// wholeNumber returns the digits of a text that is a number as people write it.
func wholeNumber(s string) (digits string, ok bool) {
	s = strings.TrimPrefix(s, "+")
	digits, length := leadingNumber(s)
	return digits, len(digits) >= minDigits && len(digits) <= maxContactDigits && length == len(s)
}

// isNotDate reports whether a number without a plus cannot be a date: dates have separators, and
// phone numbers written with separators begin with 0.
func isNotDate(s string) bool {
	return s[0] == '0' || !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// leadingNumber returns the digits that a text begins with, without the separators between
// them, and the length of that prefix. A group that would make too many digits is left out.
func leadingNumber(s string) (digits string, length int) {
	for at := 0; ; {
		run := at
		for run < len(s) && isDigit(s[run]) {
			run++
		}
		if at > 0 && (run == at || len(digits)+run-at > maxContactDigits) {
			return digits, length
		}
		digits, length = digits+s[at:run], run
		for at = run; at < len(s) && at-run < maxSeparators && strings.IndexByte(separators, s[at]) >= 0; {
			at++
		}
		if at == run {
			return digits, length
		}
	}
}

// value hides the numbers in a JSON value. name is that of its field.
func (n phoneNumbers) value(v any, name string) any {
	switch v := v.(type) {
	case string:
		if digits, ok := wholeNumber(v); ok && isContact(name) && isNotDate(v) {
			return maskDigits(digits)
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

// isContact reports whether a field holds a contact, which may be written without a plus.
func isContact(name string) bool {
	switch name {
	case "wa_id", "recipient_id", "recipient", "from", "to", "input", "phone", "phone_number", "msisdn":
		return true
	}
	return false
}

// text hides the numbers in a text.
func (n phoneNumbers) text(s string) string {
	var out strings.Builder
	kept := 0
	for i := 0; i < len(s); {
		if !isDigit(s[i]) {
			i++
			continue
		}
		digits, length := n.numberAt(s, i)
		if digits != "" {
			out.WriteString(s[kept:i])
			out.WriteString(maskDigits(digits))
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

// numberAt returns the digits to hide at an offset of a text, "" for none, and how many bytes it
// has examined.
func (n phoneNumbers) numberAt(s string, at int) (digits string, length int) {
	if at > 0 && s[at-1] == numberPrefix {
		if digits, length = leadingNumber(s[at:]); len(digits) >= minDigits && len(digits) <= maxDigits {
			return digits, length
		}
	}
	for length = 0; at+length < len(s) && isDigit(s[at+length]); {
		length++
	}
	digits = s[at : at+length]
	quoted := at > 0 && s[at-1] == '"' && strings.HasPrefix(strings.TrimPrefix(s[at+length:], `\`), `"`) &&
		length >= minQuoted && length <= maxQuoted
	if quoted || n[digits] {
		return digits, length
	}
	return "", length
}

// maskDigits replaces all but the last digits by stars.
func maskDigits(digits string) string {
	return strings.Repeat("*", len(digits)-shownDigits) + digits[len(digits)-shownDigits:]
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

package whatsapp

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"facteur/actions/whatsapp/numbering"

	"github.com/nyaruka/phonenumbers"
)

// A contact is the person to send to: by phone number, or by business-scoped user ID.
type contact struct {
	phone  string // "+33612345678"
	userID string // "US.13491208655302741918"
}

// key identifies the contact: its digits without +, or its user ID.
func (c contact) key() string {
	if c.userID != "" {
		return c.userID
	}
	return strings.TrimPrefix(c.phone, "+")
}

// A recipient is the parsed text of a recipient.
type recipient struct {
	contact
	doubtful bool            // the length is right, but no number range in use has this number
	err      *recipientError // nil: contact is set
}

// A recipientError says why a text is no recipient, and how to write one.
type recipientError struct{ message, hint string }

func (e *recipientError) Error() string {
	if e.hint == "" {
		return e.message
	}
	return e.message + "; " + e.hint
}

// userIDPattern matches a business-scoped user ID.
const userIDPattern = `^[A-Z]{2}\.(ENT\.)?[0-9A-Za-z]{1,128}$`

var userID = regexp.MustCompile(userIDPattern)

const (
	example     = "give a phone number such as +33612345678"
	countryCode = "write + and the country code, then the number: +33612345678"
)

// parseRecipient parses a recipient. Spaces, hyphens, dots and parentheses are ignored.
// A number must begin with + and its country code, and have a length that this country
// uses; whether it is in service only Meta can tell.
func parseRecipient(text string) recipient {
	wrong := func(problem, hint string) recipient {
		return recipient{err: &recipientError{mention(text) + " " + problem, hint}}
	}
	text = strings.TrimSpace(text)
	if digits, ok := strings.CutPrefix(text, "+"); ok && numbering.InUse(digits) {
		return recipient{contact: contact{phone: text}}
	}
	switch {
	case text == "":
		return recipient{err: &recipientError{"it is empty", example}}
	case len(text) > 3 && text[2] == '.' && userID.MatchString(text):
		return recipient{contact: contact{userID: text}}
	case strings.Trim(text, "+0123456789 -.()/\u00a0\u202f") != "", onlyDigits(text) == "":
		return wrong("is not a phone number", shownHint(text))
	case strings.HasPrefix(text, "00"):
		return wrong("begins with 00", "write + instead: +"+strings.TrimLeft(text, "0"))
	case text[0] != '+':
		return wrong("has no +, so Meta would put the sender's country code before it", plusHint(text))
	}
	number, err := phonenumbers.Parse(text, "")
	switch {
	case errors.Is(err, phonenumbers.ErrInvalidCountryCode):
		return wrong("does not start with a country code", countryCode)
	case errors.Is(err, phonenumbers.ErrTooShortNSN), errors.Is(err, phonenumbers.ErrTooShortAfterIDD):
		return wrong("is too short for a phone number", "")
	case errors.Is(err, phonenumbers.ErrNumTooLong):
		return wrong("is too long for a phone number", "")
	case err != nil:
		return wrong("is not a phone number", countryCode)
	}
	found := recipient{contact: contact{phone: phonenumbers.Format(number, phonenumbers.E164)}}
	if phonenumbers.IsValidNumber(number) {
		return found
	}
	found.doubtful = true
	switch phonenumbers.IsPossibleNumberWithReason(number) {
	case phonenumbers.IS_POSSIBLE:
		return found
	case phonenumbers.TOO_SHORT, phonenumbers.IS_POSSIBLE_LOCAL_ONLY:
		return wrong("is too short for a phone number of its country", "")
	case phonenumbers.TOO_LONG:
		return wrong("is too long for a phone number of its country", "")
	}
	return wrong("cannot be a phone number of its country", "")
}

// shownHint is the hint for what is no phone number. A copied number may hold invisible
// characters.
func shownHint(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Cf, r) }) {
		return "remove the invisible characters, shown here with a backslash"
	}
	return example
}

// plusHint is the hint for a number that has no +.
func plusHint(text string) string {
	digits := onlyDigits(text)
	if number, err := phonenumbers.Parse("+"+digits, ""); err == nil && phonenumbers.IsValidNumber(number) {
		return `write "+` + digits + `" if it starts with a country code`
	}
	return `write it with + and the country code, in quotes: "+33612345678"`
}

// contactKey returns the key of a recipient, or of the sender of a message. Meta's wa_id,
// digits without +, is accepted too.
func contactKey(text string) (string, error) {
	text = strings.TrimSpace(text)
	if digits := strings.TrimPrefix(text, "+"); len(digits) >= 7 && len(digits) <= 15 && digits[0] != '0' && areDigits(digits) {
		return digits, nil
	}
	a := parseRecipient(text)
	if a.err != nil {
		return "", a.err
	}
	return a.key(), nil
}

// A RecipientCache caches parsed recipients between the check of a message and its sending,
// because parsing one that is not in E.164 form costs more than all the rest of a send.
// The zero value is empty. It is safe for concurrent use.
type RecipientCache struct {
	mu     sync.Mutex
	parsed map[string]recipient
}

// maxCachedRecipients bounds the cache; it is emptied when it is full.
const maxCachedRecipients = 1024

func (b *RecipientCache) parse(text string) recipient {
	b.mu.Lock()
	a, ok := b.parsed[text]
	b.mu.Unlock()
	if ok {
		return a
	}
	a = parseRecipient(text)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.parsed == nil {
		b.parsed = map[string]recipient{}
	} else if len(b.parsed) >= maxCachedRecipients {
		clear(b.parsed) // keeps the map's memory
	}
	b.parsed[text] = a
	return a
}

func onlyDigits(s string) string {
	if areDigits(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

func areDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// mention quotes a value for a finding, shortened to 40 characters.
func mention(s string) string {
	if r := []rune(s); len(r) > 40 {
		s = string(r[:40]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

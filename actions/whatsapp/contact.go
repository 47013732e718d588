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

// A contact is somebody to write to: by phone number, or by a business-scoped user ID.
type contact struct {
	phone  string // "+33612345678"
	userID string // "US.13491208655302741918"
}

// key is the form that equal contacts share: digits without +, or the user ID.
func (c contact) key() string {
	if c.userID != "" {
		return c.userID
	}
	return strings.TrimPrefix(c.phone, "+")
}

// An address is what a text says about whom to write to.
type address struct {
	contact
	doubtful bool          // a right length, but in no range that is known to be in use
	err      *addressError // nil: the contact is there
}

// An addressError says why a text names no contact, and what it should be.
type addressError struct{ message, hint string }

func (e *addressError) Error() string {
	if e.hint == "" {
		return e.message
	}
	return e.message + "; " + e.hint
}

// userIDPattern is that of a business-scoped user ID.
const userIDPattern = `^[A-Z]{2}\.(ENT\.)?[0-9A-Za-z]{1,128}$`

var userID = regexp.MustCompile(userIDPattern)

const (
	example     = "give a phone number such as +33612345678"
	countryCode = "write + and the country code, then the number: +33612345678"
)

// parseAddress reads a recipient. Spaces, hyphens, dots and parentheses do not matter.
// A number must begin with + and its country code, and have a length that this country
// uses; whether it is in service only Meta can tell.
func parseAddress(text string) address {
	wrong := func(problem, hint string) address {
		return address{err: &addressError{mention(text) + " " + problem, hint}}
	}
	text = strings.TrimSpace(text)
	if isPhone(text) {
		return address{contact: contact{phone: text}}
	}
	switch {
	case text == "":
		return address{err: &addressError{"it is empty", example}}
	case len(text) > 3 && text[2] == '.' && userID.MatchString(text):
		return address{contact: contact{userID: text}}
	case strings.Trim(text, "+0123456789 -.()/\u00a0\u202f") != "", onlyDigits(text) == "":
		return wrong("is not a phone number", shownHint(text))
	case strings.HasPrefix(text, "00"):
		return wrong("begins with 00", "write + instead: +"+strings.TrimLeft(text, "0"))
	case text[0] != '+':
		return wrong("has no +, so the country code of the sender would be put before it", plusHint(text))
	}
	number, err := phonenumbers.Parse(text, "")
	switch {
	case errors.Is(err, phonenumbers.ErrInvalidCountryCode):
		return wrong("does not begin with the code of a country", countryCode)
	case errors.Is(err, phonenumbers.ErrTooShortNSN), errors.Is(err, phonenumbers.ErrTooShortAfterIDD):
		return wrong("is too short for a phone number", "")
	case errors.Is(err, phonenumbers.ErrNumTooLong):
		return wrong("is too long for a phone number", "")
	case err != nil:
		return wrong("is not a phone number", countryCode)
	}
	found := address{contact: contact{phone: phonenumbers.Format(number, phonenumbers.E164)}}
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

// isPhone tells whether a text is a phone number in use, written as all are sent.
func isPhone(text string) bool {
	digits, ok := strings.CutPrefix(text, "+")
	return ok && numbering.InUse(digits)
}

// shownHint tells how to write what is no phone number. One that was copied may bring
// characters along that nobody sees.
func shownHint(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Cf, r) }) {
		return "leave out the characters that do not show, which are written with a backslash here"
	}
	return example
}

// plusHint tells how to write a number that has no +.
func plusHint(text string) string {
	digits := onlyDigits(text)
	if number, err := phonenumbers.Parse("+"+digits, ""); err == nil && phonenumbers.IsValidNumber(number) {
		return `write "+` + digits + `" if it begins with its country code`
	}
	return `write it with + and the country code, in quotes: "+33612345678"`
}

// contactKey brings a recipient, or the sender of a message, into the form that equal
// contacts share. What Meta calls wa_id, digits without +, is accepted too.
func contactKey(text string) (string, error) {
	text = strings.TrimSpace(text)
	if digits := strings.TrimPrefix(text, "+"); len(digits) >= 7 && len(digits) <= 15 && digits[0] != '0' && areDigits(digits) {
		return digits, nil
	}
	a := parseAddress(text)
	if a.err != nil {
		return "", a.err
	}
	return a.key(), nil
}

// An AddressBook remembers recipients for the moment between the check of a message and
// its sending, because reading one that is not written as all are sent costs as much as all
// the rest of a send. The zero value is empty. It is safe for concurrent use.
type AddressBook struct {
	mu    sync.Mutex
	known map[string]address
}

// mostAddresses bounds the book; it is emptied when it is full.
const mostAddresses = 1024

func (b *AddressBook) look(text string) address {
	if isPhone(text) {
		return address{contact: contact{phone: text}}
	}
	b.mu.Lock()
	a, ok := b.known[text]
	b.mu.Unlock()
	if ok {
		return a
	}
	a = parseAddress(text)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known == nil {
		b.known = map[string]address{}
	} else if len(b.known) >= mostAddresses {
		clear(b.known) // the room that it has grown to stays
	}
	b.known[text] = a
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

// mention quotes a value for a message, at a length that people read.
func mention(s string) string {
	if r := []rune(s); len(r) > 40 {
		s = string(r[:40]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

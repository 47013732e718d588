package whatsapp

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

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

var userID = regexp.MustCompile(`^[A-Z]{2}\.(ENT\.)?[0-9A-Za-z]{1,128}$`)

// An addressError says why a text names no contact, and what it should be.
type addressError struct{ message, hint string }

func (e *addressError) Error() string {
	if e.hint == "" {
		return e.message
	}
	return e.message + "; " + e.hint
}

// parseContact reads a recipient. Spaces, hyphens, dots and parentheses do not matter.
// A number must begin with + and its country code, and have a length that this country
// uses; whether it is in service only Meta can tell.
func parseContact(text string) (contact, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return contact{}, &addressError{"it is empty", "give a phone number such as +33612345678"}
	case userID.MatchString(text):
		return contact{userID: text}, nil
	case strings.Trim(text, "+0123456789 -.()/\u00a0\u202f") != "", onlyDigits(text) == "":
		return contact{}, &addressError{mention(text) + " is not a phone number", "give a phone number such as +33612345678"}
	case strings.HasPrefix(text, "00"):
		return contact{}, &addressError{mention(text) + " begins with 00", "write + instead: +" + strings.TrimLeft(text, "0")}
	case !strings.HasPrefix(text, "+"):
		return contact{}, withoutPlus(text)
	}
	number, err := phonenumbers.Parse(text, "")
	switch {
	case errors.Is(err, phonenumbers.ErrInvalidCountryCode):
		return contact{}, &addressError{mention(text) + " does not begin with the code of a country", "write + and the country code, then the number: +33612345678"}
	case errors.Is(err, phonenumbers.ErrTooShortNSN), errors.Is(err, phonenumbers.ErrTooShortAfterIDD):
		return contact{}, &addressError{mention(text) + " is too short for a phone number", ""}
	case errors.Is(err, phonenumbers.ErrNumTooLong):
		return contact{}, &addressError{mention(text) + " is too long for a phone number", ""}
	case err != nil:
		return contact{}, &addressError{mention(text) + " is not a phone number", "write + and the country code, then the number: +33612345678"}
	}
	switch phonenumbers.IsPossibleNumberWithReason(number) {
	case phonenumbers.IS_POSSIBLE:
		return contact{phone: phonenumbers.Format(number, phonenumbers.E164)}, nil
	case phonenumbers.TOO_SHORT, phonenumbers.IS_POSSIBLE_LOCAL_ONLY:
		return contact{}, &addressError{mention(text) + " is too short for a phone number of its country", ""}
	case phonenumbers.TOO_LONG:
		return contact{}, &addressError{mention(text) + " is too long for a phone number of its country", ""}
	}
	return contact{}, &addressError{mention(text) + " cannot be a phone number of its country", ""}
}

// withoutPlus explains what Meta would make of a number without +.
func withoutPlus(text string) error {
	digits := onlyDigits(text)
	hint := `write it with + and the country code, in quotes: "+33612345678"`
	if number, err := phonenumbers.Parse("+"+digits, ""); err == nil && phonenumbers.IsValidNumber(number) {
		hint = `write "+` + digits + `" if it begins with its country code`
	}
	return &addressError{mention(text) + " has no +, so the country code of the sender would be put before it", hint}
}

// doubtful tells of a number that has a right length but lies in no range that is
// known to be in use.
func doubtful(text string) bool {
	number, err := phonenumbers.Parse(text, "")
	return err == nil && !phonenumbers.IsValidNumber(number)
}

// contactKey brings a recipient, or the sender of a message, into the form that equal
// contacts share. What Meta calls wa_id, digits without +, is accepted too.
func contactKey(text string) (string, error) {
	text = strings.TrimSpace(text)
	if digits := strings.TrimPrefix(text, "+"); len(digits) >= 7 && len(digits) <= 15 && digits[0] != '0' && onlyDigits(digits) == digits {
		return digits, nil
	}
	c, err := parseContact(text)
	return c.key(), err
}

func onlyDigits(s string) string {
	if strings.Trim(s, "0123456789") == "" {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// mention quotes a value for a message, at a length that people read.
func mention(s string) string {
	if r := []rune(s); len(r) > 40 {
		s = string(r[:40]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

package simulator

import (
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// resolveRecipient is the wa_id, or the user ID, that a recipient means. A number without + is
// taken as it is when it is one of a country, as the senders of replies write it; else
// the country code of the sender is put before it. The simulator is locked.
func (s *Simulator) resolveRecipient(input string, from *number) string {
	if isUserID(input) {
		return input
	}
	input = strings.TrimSpace(input)
	number := digits(input)
	if strings.HasPrefix(input, "+") || s.world.people[number] != nil || number == from.digits || isMagic(number) {
		return number
	}
	if n, err := phonenumbers.Parse("+"+number, ""); err == nil && phonenumbers.IsPossibleNumber(n) && len(number) > 10 || err == nil && phonenumbers.IsValidNumber(n) {
		return number
	}
	sender, err := phonenumbers.Parse("+"+from.digits, "")
	if err != nil {
		return number
	}
	return strconv.Itoa(int(sender.GetCountryCode())) + strings.TrimLeft(number, "0")
}

func isMagic(number string) bool {
	return len(number) == 11 && (strings.HasPrefix(number, magicRefused) || strings.HasPrefix(number, magicFails) || strings.HasPrefix(number, magicDoes))
}

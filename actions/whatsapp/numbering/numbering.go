// Package numbering checks phone numbers against the world's numbering plans: whether digits are in
// a range that is known to be in use. Each send does that, so it must be fast.
package numbering

import (
	"slices"
	"sync"

	"github.com/nyaruka/phonenumbers"
)

// A territory is a country, or a part of the world with a numbering plan of its own.
type territory struct {
	leading *dfa            // how its numbers begin, where that tells it from others of its code; else nil
	all     numberPattern   // what its numbers have in common
	kinds   []numberPattern // mobile, fixed line …: a number in use is one of these
}

// numberPattern are those of some lengths that have a shape.
type numberPattern struct {
	lengths []int32 // empty: any
	shape   *dfa
}

func (n numberPattern) match(national string) bool {
	return (len(n.lengths) == 0 || slices.Contains(n.lengths, int32(len(national)))) && n.shape.matches(national)
}

func (t territory) inUse(national string) bool {
	return t.all.match(national) && slices.ContainsFunc(t.kinds, func(n numberPattern) bool { return n.match(national) })
}

// territories has, at each country code, what makes the territories that share it. The
// data are libphonenumber's; their shapes are made when a code is first asked for.
var territories = sync.OnceValue(func() []func() []territory {
	codes := make([]func() []territory, 1000)
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		return codes // which the library would not have started with
	}
	known := map[string]*phonenumbers.PhoneMetadata{}
	for _, t := range all.GetMetadata() {
		if t.GetId() == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY {
			codes[t.GetCountryCode()] = sync.OnceValue(func() []territory { return []territory{newTerritory(t)} })
		}
		known[t.GetId()] = t
	}
	for code := range codes {
		regions := phonenumbers.GetRegionCodesForCountryCode(code)
		if len(regions) == 0 || codes[code] != nil {
			continue
		}
		codes[code] = sync.OnceValue(func() (those []territory) {
			for _, region := range regions {
				those = append(those, newTerritory(known[region]))
			}
			return those
		})
	}
	return codes
})

func newTerritory(t *phonenumbers.PhoneMetadata) territory {
	numbersOf := func(d *phonenumbers.PhoneNumberDesc) numberPattern {
		return numberPattern{d.GetPossibleLength(), newDFA(d.GetNationalNumberPattern())}
	}
	made := territory{all: numbersOf(t.GetGeneralDesc())}
	if leading := t.GetLeadingDigits(); leading != "" {
		made.leading = newDFA("(?:" + leading + `)\d*`)
	}
	kinds := []*phonenumbers.PhoneNumberDesc{t.GetMobile(), t.GetFixedLine(), t.GetTollFree(), t.GetPremiumRate(),
		t.GetSharedCost(), t.GetVoip(), t.GetPersonalNumber(), t.GetPager(), t.GetUan(), t.GetVoicemail()}
	if t.GetSameMobileAndFixedLinePattern() {
		kinds = kinds[1:]
	}
	for _, d := range kinds {
		made.kinds = append(made.kinds, numbersOf(d))
	}
	return made
}

// InUse tells whether digits, a country code and then a national number without zeros
// before it, are a phone number in a range that is known to be in use. It is what
// phonenumbers.IsValidNumber says; that one takes five times as long, because it goes by
// the kind of a number, and looks each pattern up by its text.
func InUse(digits string) bool {
	code := 0
	for i, digit := range []byte(digits) {
		if digit < '0' || digit > '9' {
			return false
		}
		switch {
		case i == 0 && digit == '0', i == 3: // no code is so
			return false
		}
		code = 10*code + int(digit-'0')
		those := territories()[code]
		if those == nil {
			continue
		}
		// No code is the beginning of another.
		national := digits[i+1:]
		if national == "" || national[0] == '0' {
			return false
		}
		return inUseIn(those(), national)
	}
	return false
}

// inUseIn tells whether a number is in use in the territory of a code that it belongs to.
func inUseIn(those []territory, national string) bool {
	for _, t := range those {
		switch {
		case len(those) == 1:
			return t.inUse(national)
		case t.leading != nil && t.leading.matches(national):
			return t.inUse(national)
		case t.leading == nil && t.inUse(national):
			return true
		}
	}
	return false
}

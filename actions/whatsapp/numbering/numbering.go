// Package numbering tells whether digits are a phone number in a range that is in use, by the
// numbering plans of libphonenumber. It is for numbers in E.164 form, of which each send checks one:
// parsing with the library costs more than the rest of a send.
package numbering

import (
	"regexp"
	"slices"
	"strconv"
	"sync"

	"github.com/nyaruka/phonenumbers"
)

// A region is a country, or a part of the world with its own numbering plan.
type region struct {
	leadingDigits *regexp.Regexp // tells its numbers from those of other regions with the same country code; may be nil
	general       numberDesc     // what all its numbers have in common
	types         []numberDesc   // mobile, fixed line …: a number in use is one of these
}

// A numberDesc describes national numbers by their length and a pattern.
type numberDesc struct {
	possibleLengths []int32 // empty: any
	pattern         *regexp.Regexp
}

func (d numberDesc) matches(national string) bool {
	return (len(d.possibleLengths) == 0 || slices.Contains(d.possibleLengths, int32(len(national)))) && d.pattern.MatchString(national)
}

func (r region) inUse(national string) bool {
	return r.general.matches(national) && slices.ContainsFunc(r.types, func(d numberDesc) bool { return d.matches(national) })
}

// regionsByCode holds for each country code a function that returns its regions, nil where there is
// no such code. The patterns of a code are compiled when it is first used.
var regionsByCode = sync.OnceValue(func() map[int]func() []region {
	codes := map[int]func() []region{}
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		return codes // the library itself panics then
	}
	byID := map[string]*phonenumbers.PhoneMetadata{}
	for _, m := range all.GetMetadata() {
		byID[m.GetId()] = m
		if m.GetId() == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY {
			codes[int(m.GetCountryCode())] = sync.OnceValue(func() []region { return []region{newRegion(m)} })
		}
	}
	for code := range phonenumbers.GetSupportedCallingCodes() {
		if codes[code] != nil {
			continue
		}
		codes[code] = sync.OnceValue(func() (regions []region) {
			for _, id := range phonenumbers.GetRegionCodesForCountryCode(code) {
				regions = append(regions, newRegion(byID[id]))
			}
			return regions
		})
	}
	return codes
})

func newRegion(m *phonenumbers.PhoneMetadata) region {
	desc := func(d *phonenumbers.PhoneNumberDesc) numberDesc {
		return numberDesc{d.GetPossibleLength(), regexp.MustCompile("^(?:" + d.GetNationalNumberPattern() + ")$")}
	}
	r := region{general: desc(m.GetGeneralDesc())}
	if leading := m.GetLeadingDigits(); leading != "" {
		r.leadingDigits = regexp.MustCompile("^(?:" + leading + ")")
	}
	for _, d := range []*phonenumbers.PhoneNumberDesc{m.GetMobile(), m.GetFixedLine(), m.GetTollFree(), m.GetPremiumRate(),
		m.GetSharedCost(), m.GetVoip(), m.GetPersonalNumber(), m.GetPager(), m.GetUan(), m.GetVoicemail()} {
		if d.GetNationalNumberPattern() != "" {
			r.types = append(r.types, desc(d))
		}
	}
	return r
}

// InUse tells whether digits, a country code followed by a national number without leading zeros,
// are in a range that is in use. The result is that of phonenumbers.IsValidNumber.
func InUse(digits string) bool {
	for n := 1; n <= 3 && n < len(digits); n++ {
		code, err := strconv.ParseUint(digits[:n], 10, 16)
		if err != nil || digits[0] == '0' {
			return false
		}
		if regions := regionsByCode()[int(code)]; regions != nil { // no code is the beginning of another
			return digits[n] != '0' && inUseIn(regions(), digits[n:])
		}
	}
	return false
}

// inUseIn tells whether a number is in use in the region that it belongs to.
func inUseIn(regions []region, national string) bool {
	for _, r := range regions {
		switch {
		case len(regions) == 1:
			return r.inUse(national)
		case r.leadingDigits != nil && r.leadingDigits.MatchString(national):
			return r.inUse(national)
		case r.leadingDigits == nil && r.inUse(national):
			return true
		}
	}
	return false
}

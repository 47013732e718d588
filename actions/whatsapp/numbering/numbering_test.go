package numbering_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"facteur/actions/whatsapp/numbering"

	"github.com/nyaruka/phonenumbers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestNumbersInUse compares with the library: at each code with numbers at random, and
// with the examples of each territory, as they are and with one digit changed.
func TestNumbersInUse(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	compared, valid := 0, 0
	compare := func(code int, national uint64) {
		country := int32(code)
		want := phonenumbers.IsValidNumber(&phonenumbers.PhoneNumber{CountryCode: &country, NationalNumber: &national})
		digits := fmt.Sprintf("%d%d", code, national)
		if !assert.Equal(t, want, numbering.InUse(digits), digits) {
			t.FailNow()
		}
		compared++
		if want {
			valid++
		}
	}
	all, err := phonenumbers.MetadataCollection()
	require.NoError(t, err)
	for _, territory := range all.GetMetadata() {
		code := int(territory.GetCountryCode())
		for _, kind := range []*phonenumbers.PhoneNumberDesc{territory.GetMobile(), territory.GetFixedLine(), territory.GetTollFree(), territory.GetPremiumRate(),
			territory.GetSharedCost(), territory.GetVoip(), territory.GetPersonalNumber(), territory.GetPager(), territory.GetUan(), territory.GetVoicemail()} {
			example := kind.GetExampleNumber()
			if example == "" || example[0] == '0' {
				continue
			}
			for i := range example {
				for digit := '0'; digit <= '9'; digit++ {
					if i == 0 && digit == '0' {
						continue
					}
					near := []rune(example)
					near[i] = digit
					national, err := strconv.ParseUint(string(near), 10, 64)
					require.NoError(t, err)
					compare(code, national)
				}
			}
		}
		for range 200 {
			national := 1 + random.Uint64N(9)
			for range 3 + random.IntN(11) {
				national = 10*national + random.Uint64N(10)
			}
			compare(code, national)
		}
	}
	assert.Greater(t, valid, 20000)
	assert.Greater(t, compared, valid+20000)
}

func TestTextsThatAreNoNumbersInUse(t *testing.T) {
	for _, digits := range []string{"", "0", "1", "33", "330612345678", "0033612345678", "999123456", "33 612345678", "336123456٣٤", "33612345678 ", "+33612345678"} {
		assert.False(t, numbering.InUse(digits), digits)
	}
	assert.True(t, numbering.InUse("33612345678"))
}

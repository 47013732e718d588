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

// TestInUse compares with the library: for each territory with its example numbers, with one digit
// changed, and with random numbers.
func TestInUse(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	compared, valid := 0, 0
	all, err := phonenumbers.MetadataCollection()
	require.NoError(t, err)
	for _, territory := range all.GetMetadata() {
		code := territory.GetCountryCode()
		for _, national := range append(nearExamples(t, territory), randomNumbers(random)...) {
			want := phonenumbers.IsValidNumber(&phonenumbers.PhoneNumber{CountryCode: &code, NationalNumber: &national})
			digits := fmt.Sprintf("%d%d", code, national)
			require.Equal(t, want, numbering.InUse(digits), digits)
			compared++
			if want {
				valid++
			}
		}
	}
	assert.Greater(t, valid, 20000)
	assert.Greater(t, compared, valid+20000)
}

// nearExamples returns the examples of a territory with each digit changed to each other.
func nearExamples(t *testing.T, territory *phonenumbers.PhoneMetadata) (near []uint64) {
	for _, d := range []*phonenumbers.PhoneNumberDesc{territory.GetMobile(), territory.GetFixedLine(), territory.GetTollFree(), territory.GetPremiumRate(),
		territory.GetSharedCost(), territory.GetVoip(), territory.GetPersonalNumber(), territory.GetPager(), territory.GetUan(), territory.GetVoicemail()} {
		example := d.GetExampleNumber()
		for i := range example {
			for digit := '0'; digit <= '9'; digit++ {
				national := example[:i] + string(digit) + example[i+1:]
				if national[0] == '0' {
					continue
				}
				number, err := strconv.ParseUint(national, 10, 64)
				require.NoError(t, err)
				near = append(near, number)
			}
		}
	}
	return near
}

// randomNumbers returns numbers of 4 to 14 digits.
func randomNumbers(random *rand.Rand) (numbers []uint64) {
	for range 200 {
		national := 1 + random.Uint64N(9)
		for range 3 + random.IntN(11) {
			national = 10*national + random.Uint64N(10)
		}
		numbers = append(numbers, national)
	}
	return numbers
}

func TestInUseOfOtherTexts(t *testing.T) {
	for _, digits := range []string{"", "0", "1", "33", "330612345678", "0033612345678", "999123456", "33 612345678", "336123456٣٤", "33612345678 ", "+33612345678", "3+3612345678"} {
		assert.False(t, numbering.InUse(digits), digits)
	}
	assert.True(t, numbering.InUse("33612345678"))
}

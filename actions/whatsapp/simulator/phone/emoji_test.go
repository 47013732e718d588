package phone_test

import (
	"testing"

	"facteur/actions/whatsapp/simulator/phone"

	"github.com/stretchr/testify/assert"
)

func TestLarge(t *testing.T) {
	for _, text := range []string{"🎉", "❤️", "👍🏽", "👨‍👩‍👧‍👦", "🇫🇷", "🇫🇷🇧🇪", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "🎉👨‍👩‍👧‍👦👍🏽", "☀️"} {
		assert.True(t, phone.Large(text), text)
	}
	for _, text := range []string{"", "a", "7", "7️", "🎉 ok", "🎉🎉🎉🎉", "🇫🇷🇧🇪🇩🇪🇮🇹", "🏽", "您好", "©", "𐍈", "\u200d", "𠮷"} {
		assert.False(t, phone.Large(text), text)
	}
}

package record_test

import (
	"testing"

	"facteur/flow/record"

	"github.com/stretchr/testify/assert"
)

// The rest of a sensitive value in a truncated text is hidden.
func TestMaskWhereATextIsCut(t *testing.T) {
	m := record.NewMask([]any{"4829-1357", "+33612345678", int64(7)})
	for text, want := range map[string]string{
		`the code "4829-1357" is wrong`:             `the code "[secret]" is wrong`,
		`"Your code is 4829-13…" is too long`:       `"Your code is [secret]…" is too long`,
		`sent "…345678, your code …", nothing else`: `sent "…[secret], your code …", nothing else`,
		`…9-1357…`: `…[secret]…`,
		`a 482… b`: `a 482… b`, // which is in too many texts
		`7`:        `[secret]`,
	} {
		assert.Equal(t, want, m.Text(text))
	}
}

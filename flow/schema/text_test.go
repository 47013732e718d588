package schema_test

import (
	"testing"
	"time"

	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
)

func TestOneLine(t *testing.T) {
	for want, v := range map[string]any{
		`Chez "Nous" & <co>`:                  `Chez "Nous" & <co>`,
		`"a\nb"`:                              "a\nb",
		`7d`:                                  7 * 24 * time.Hour,
		`null`:                                nil,
		`{"a":"<b>","at":["1m30s",1.5,true]}`: map[string]any{"at": []any{90 * time.Second, 1.5, true}, "a": "<b>"},
	} {
		assert.Equal(t, want, schema.OneLine(v))
	}
}

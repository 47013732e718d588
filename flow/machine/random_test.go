package machine_test

import (
	"bytes"
	"testing"
	"time"

	"facteur/flow/machine"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What random() gave a run, given to another with another seed, gives the same.
func TestDrawn(t *testing.T) {
	p := compile(t, `
flow: draws
steps:
  - set: {code: "${random(100000, 999999)}"}
  - set: {id: "${uuid()}", die: "${random(1, 6)}"}
outputs: {code: "${vars.code}", die: "${vars.die}"}
`)
	run := func(seed byte, random []int64) *machine.Machine {
		m := machine.New(p, machine.Start{Run: "r", At: time.Unix(0, 0), Seed: bytes.Repeat([]byte{seed}, 32), Random: random})
		m.Next()
		require.NotNil(t, m.Result())
		return m
	}
	first := run(1, nil)
	require.Len(t, first.Drawn(), 2)
	again := run(2, first.Drawn())
	assert.Equal(t, first.Result().Outputs, again.Result().Outputs)
	assert.Equal(t, first.Drawn(), again.Drawn())
}

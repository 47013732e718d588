package temporal_test

import (
	"testing"

	"facteur/flow/host"
	"facteur/flow/temporal"

	"github.com/stretchr/testify/assert"
)

// Events of one contact are delivered in their order, whichever of its names they have, and those
// of others at the same time.
func TestLinesOfEvents(t *testing.T) {
	of := func(id string, names ...string) host.Event { return host.Event{ID: id, Subjects: names} }
	var ids [][]string
	for _, line := range temporal.GroupBySubject([]host.Event{
		of("1", "ada", "+1"), of("2", "grace"), of("3", "+1", "ada's other name"), of("4"), of("5", "ada's other name"), of("6", "grace"), of("7"),
	}) {
		var one []string
		for _, e := range line {
			one = append(one, e.ID)
		}
		ids = append(ids, one)
	}
	assert.Equal(t, [][]string{{"1", "3", "5"}, {"2", "6"}, {"4"}, {"7"}}, ids)
	assert.Empty(t, temporal.GroupBySubject(nil))
}

package journal_test

import (
	"testing"

	"facteur/flow/journal"
	"facteur/flow/journal/journaltest"
)

func TestMemory(t *testing.T) {
	journaltest.Exercise(t, func(*testing.T) journal.Journal { return new(journal.Memory) })
}

package ledger_test

import (
	"testing"
	"time"

	"facteur/actions/whatsapp/ledger"
	"facteur/actions/whatsapp/ledger/ledgertest"
)

func TestMemory(t *testing.T) {
	ledgertest.Exercise(t, func(_ *testing.T, now func() time.Time) ledger.Ledger {
		return &ledger.Memory{Options: ledger.Options{Now: now}}
	})
}

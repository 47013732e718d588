package ledger_test

import (
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"facteur/actions/whatsapp/graph"
	"facteur/actions/whatsapp/inbound"

	"github.com/stretchr/testify/require"
)

// TestStoredWhole stores notifications in which every field says something.
func TestStoredWhole(t *testing.T) {
	var full inbound.Notification
	fields := reflect.ValueOf(&full).Elem()
	for i := range fields.NumField() {
		if f := fields.Field(i); f.Kind() == reflect.String {
			f.SetString("<" + fields.Type().Field(i).Name + ">\n\"é\"")
		}
	}
	full.Timestamp = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	full.Details = map[string]any{"list": []any{int64(1), 2.5, true, nil, "text"}, "object": map[string]any{"a": "b"}}
	full.Errors = []inbound.Fault{{
		Error: graph.Error{Code: 131026, Subcode: 7, Type: "a type", Title: "a title", Details: "<details>", FBTraceID: "trace", Help: "help", Transient: true, Status: 400},
		Class: graph.Recipient,
	}}
	full.Raw = map[string]any{"id": "wamid.1", "new": map[string]any{"field": int64(1)}}
	for i := range fields.NumField() {
		require.False(t, fields.Field(i).IsZero(), "%s says nothing", fields.Type().Field(i).Name)
	}
	l := openSQLite(t, filepath.Join(t.TempDir(), "ledger.db"), func() time.Time { return full.Timestamp })

	status := full
	status.Kind, status.MessageID = "status", "wamid.1"
	plain := status
	plain.Note, plain.Status = "", "read"
	message := full
	message.Kind, message.MessageID, message.GroupID, message.WaID = "message", "wamid.2", "", "33612345678"
	_, err := l.Apply(t.Context(), status, plain, message)
	require.NoError(t, err)

	m, ok, err := l.Message(t.Context(), "wamid.1")
	require.NoError(t, err)
	require.True(t, ok)
	plain.Raw = nil // what Meta said of a status is in its fields, unless it is a new one
	require.Equal(t, []inbound.Notification{status, plain}, m.Statuses)
	messages, err := l.Inbound(t.Context(), full.PhoneNumberID, "33612345678", time.Time{})
	require.NoError(t, err)
	require.Equal(t, []inbound.Notification{message}, messages)
}

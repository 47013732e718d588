package webhook_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"facteur/actions/webhook"

	"github.com/stretchr/testify/assert"
)

func TestNotices(t *testing.T) {
	var out bytes.Buffer
	now := time.Now()
	n := webhook.Notices{Log: slog.New(slog.NewTextHandler(&out, nil)), Now: func() time.Time { return now }}
	for range 100 {
		n.Say(slog.LevelWarn, "a", "again", "who", "stranger")
		n.Say(slog.LevelWarn, "b", "another")
	}
	assert.Equal(t, 2, strings.Count(out.String(), "\n"))
	out.Reset()
	now = now.Add(time.Minute)
	n.Say(slog.LevelWarn, "a", "again", "who", "stranger")
	assert.Contains(t, out.String(), "who=stranger times_left_out=99")
	for i := range 10_000 {
		n.Say(slog.LevelInfo, fmt.Sprint(i), "many things")
	}
	(&webhook.Notices{}).Say(slog.LevelError, "a", "nobody listens")
}

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

func TestLimitedLog(t *testing.T) {
	var out bytes.Buffer
	now := time.Now()
	n := webhook.LimitedLog{Log: slog.New(slog.NewTextHandler(&out, nil)), Now: func() time.Time { return now }}
	for range 100 {
		n.Print(slog.LevelWarn, "a", "again", "who", "stranger")
		n.Print(slog.LevelWarn, "b", "another")
	}
	assert.Equal(t, 2, strings.Count(out.String(), "\n"))
	out.Reset()
	now = now.Add(time.Minute)
	n.Print(slog.LevelWarn, "a", "again", "who", "stranger")
	assert.Contains(t, out.String(), "who=stranger times_left_out=99")
	for i := range 10_000 {
		n.Print(slog.LevelInfo, fmt.Sprint(i), "many things")
	}
	(&webhook.LimitedLog{}).Print(slog.LevelError, "a", "nobody listens")
}

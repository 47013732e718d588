package webhook_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"facteur/actions/webhook"

	"github.com/stretchr/testify/assert"
)

func TestLimitedLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		n := webhook.LimitedLog{Log: slog.New(slog.NewTextHandler(&out, nil))}
		for range 100 {
			n.Print(slog.LevelWarn, "a", "again", "who", "stranger")
			n.Print(slog.LevelWarn, "b", "another")
		}
		assert.Equal(t, 2, strings.Count(out.String(), "\n"))
		out.Reset()
		time.Sleep(time.Minute)
		n.Print(slog.LevelWarn, "a", "again", "who", "stranger")
		assert.Contains(t, out.String(), "who=stranger times_left_out=99")
	})
	(&webhook.LimitedLog{}).Print(slog.LevelError, "a", "nobody listens")
}

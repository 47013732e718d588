package server_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// asSlog compares what a TextHandler writes with what slog's writes.
func asSlog(t *testing.T, r slog.Record) {
	t.Helper()
	for _, v := range []server.View{{}, {Numbers: true}} {
		var got, want bytes.Buffer
		require.NoError(t, v.TextHandler(&got).Handle(context.Background(), r))
		require.NoError(t, v.Handler(slog.NewTextHandler(&want, nil)).Handle(context.Background(), r))
		require.Equal(t, want.String(), got.String())
	}
}

func TestTextHandler(t *testing.T) {
	zone := time.FixedZone("here", 5*3600+1800)
	for _, at := range []time.Time{{}, began, began.In(zone), began.Add(999999999 * time.Nanosecond), time.Now()} {
		for _, attrs := range [][]slog.Attr{
			nil,
			{slog.String("run", "4tqj7mgr2vzq"), slog.Int("attempts", 2), slog.Duration("took", 12345*time.Microsecond), slog.Bool("unknown", true), slog.Int64("least", -1<<63), slog.String("path", "each[3].steps[0]")},
			{slog.Duration("short", 3*time.Microsecond)},
			{slog.String("empty", "")},
			{slog.String("", "no key")},
			{{}},
			{slog.String("to", "+33612345678"), slog.String("so", "33612345678")},
			{slog.String("said", `the number "0612345678" is none`)},
			{slog.Any("error", errors.New("of +33612345678")), slog.Float64("f", 1.5), slog.Time("at", began), slog.Uint64("u", 7)},
			{slog.Group("g", "a", "b")},
			{slog.String("a key", "x"), slog.String("é", "é"), slog.String("tab", "\t")},
		} {
			for _, message := range []string{"step", "two words", "", "+33612345678"} {
				r := slog.NewRecord(at, slog.LevelWarn+1, message, 0)
				r.AddAttrs(attrs...)
				asSlog(t, r)
			}
		}
	}
}

func FuzzTextHandler(f *testing.F) {
	f.Add("step", "run", "4tqj7mgr2vzq", int64(1), int64(time.Hour))
	f.Add("a b", "to", "+33612345678", int64(-1), int64(0))
	f.Add("", "", "\"", int64(1)<<62, int64(-5))
	f.Fuzz(func(t *testing.T, message, key, value string, at, number int64) {
		r := slog.NewRecord(time.Unix(0, at), slog.LevelInfo, message, 0)
		r.AddAttrs(slog.String(key, value), slog.Int64("n", number), slog.Duration("took", time.Duration(number)))
		asSlog(t, r)
	})
}

// What comes before is in a line, too.
func TestTextHandlerWithAttributes(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(server.View{}.TextHandler(&out))
	log.With("who", "+33612345678").WithGroup("g").Info("step", "run", "r1")
	assert.Contains(t, out.String(), "level=INFO msg=step who=+*********78 g.run=r1\n")
	out.Reset()
	log.Debug("step")
	assert.Empty(t, out.String())
}

package graph_test

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp/graph"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryDocumentedCodeIsInTheCatalogue(t *testing.T) {
	f, err := os.Open("testdata/codes.txt")
	require.NoError(t, err)
	defer f.Close()
	n := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		codes, class, ok := strings.Cut(lines.Text(), " ")
		if !ok || strings.HasPrefix(codes, "#") {
			continue
		}
		n++
		first, last, isRange := strings.Cut(codes, "-")
		if !isRange {
			last = first
		}
		for _, text := range []string{first, last} {
			code, err := strconv.ParseInt(text, 10, 64)
			require.NoError(t, err)
			e, ok := graph.Explain(code)
			require.True(t, ok, codes)
			assert.Equal(t, class, string(e.Class), codes)
			for _, part := range []string{e.Title, e.Cause, e.Cure, e.Does, e.Source} {
				assert.NotEmpty(t, part, codes)
			}
		}
	}
	assert.GreaterOrEqual(t, n, 99)
}

func TestEveryCodeHasItsPage(t *testing.T) {
	for _, code := range []int64{0, 190, 613, 2046, 131020, 131026, 131062, 138009, 2494100, 136024} {
		e, ok := graph.Explain(code)
		require.True(t, ok, code)
		assert.Contains(t, e.Source, "https://", code)
	}
}

func TestExactGoesBeforeRange(t *testing.T) {
	e, ok := graph.Explain(200)
	require.True(t, ok)
	assert.Zero(t, e.Last)
	e, ok = graph.Explain(201)
	require.True(t, ok)
	assert.Equal(t, int64(299), e.Last)
	_, ok = graph.Explain(300)
	assert.False(t, ok)
	_, ok = graph.Explain(-1)
	assert.False(t, ok)
}

func TestOnPremisesCodes(t *testing.T) {
	for old, now := range map[int64]int64{470: 131047, 471: 131048, 472: 130472, 402: 131042, 1026: 131026, 1005: 131005, 1008: 131008,
		1009: 131009, 1031: 131031, 2000: 132000, 2016: 132016, 429: 130429, 1015: 130429, 1016: 131016} {
		e, ok := graph.Explain(old)
		require.True(t, ok, old)
		want, _ := graph.Explain(now)
		assert.Equal(t, want.Class, e.Class, old)
		assert.Contains(t, e.Title, "On-Premises API")
		assert.Contains(t, e.Title, strconv.FormatInt(now, 10))
	}
}

func TestClassify(t *testing.T) {
	for _, tt := range []struct {
		name  string
		e     graph.Error
		class graph.Class
		retry bool
		after time.Duration
	}{
		{"known, whatever the status", graph.Error{Code: 131026, Status: 500, Transient: true}, graph.Recipient, false, 0},
		{"unknown, transient", graph.Error{Code: 987654, Status: 400, Transient: true}, graph.Transient, true, 0},
		{"unknown, 429", graph.Error{Code: 987654, Status: 429}, graph.ThrottleApp, true, 0},
		{"unknown, 403", graph.Error{Code: 987654, Status: 403}, graph.Auth, false, 0},
		{"unknown, 500", graph.Error{Code: 987654, Status: 500}, graph.Transient, true, 0},
		{"unknown, 400", graph.Error{Code: 987654, Status: 400}, graph.Permanent, false, 0},
		{"the subcode of a missing object", graph.Error{Code: 100, Subcode: 33, Status: 400}, graph.AccountBlocked, false, 0},
		{"another subcode", graph.Error{Code: 100, Subcode: 7, Status: 400}, graph.Permanent, false, 0},
		{"marketing, not for a day", graph.Error{Code: 131049, Status: 400}, graph.RecipientMarketing, false, 0},
		{"maintenance of an account", graph.Error{Code: 2494100, Status: 400}, graph.Transient, true, 3 * time.Minute},
		{"a call over its rate", graph.Error{Code: 138009, Status: 429}, graph.Calling, true, 0},
	} {
		v := graph.Classify(tt.e)
		assert.Equal(t, tt.class, v.Class, tt.name)
		assert.Equal(t, tt.retry, v.Retryable, tt.name)
		assert.Equal(t, tt.after, v.After, tt.name)
	}
	assert.Equal(t, "pair", graph.Classify(graph.Error{Code: 131056}).Backoff)
}

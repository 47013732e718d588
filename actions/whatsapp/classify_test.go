package whatsapp_test

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp"

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
			e, ok := whatsapp.Explain(code)
			require.True(t, ok, codes)
			assert.Equal(t, class, string(e.Class), codes)
			for _, part := range []string{e.Title, e.Cause, e.Cure, e.Does, e.Source} {
				assert.NotEmpty(t, part, codes)
			}
		}
	}
	assert.GreaterOrEqual(t, n, 99)
}

func TestExactGoesBeforeRange(t *testing.T) {
	e, ok := whatsapp.Explain(200)
	require.True(t, ok)
	assert.Zero(t, e.Last)
	e, ok = whatsapp.Explain(201)
	require.True(t, ok)
	assert.Equal(t, int64(299), e.Last)
	_, ok = whatsapp.Explain(300)
	assert.False(t, ok)
	_, ok = whatsapp.Explain(-1)
	assert.False(t, ok)
}

func TestOnPremisesCodes(t *testing.T) {
	for old, now := range map[int64]int64{470: 131047, 471: 131048, 472: 130472, 402: 131042, 1026: 131026, 1005: 131005, 1008: 131008,
		1009: 131009, 1031: 131031, 2000: 132000, 2016: 132016, 429: 130429, 1015: 130429, 1016: 131016} {
		e, ok := whatsapp.Explain(old)
		require.True(t, ok, old)
		want, _ := whatsapp.Explain(now)
		assert.Equal(t, want.Class, e.Class, old)
		assert.Contains(t, e.Title, "On-Premises API")
		assert.Contains(t, e.Title, strconv.FormatInt(now, 10))
	}
}

func TestClassify(t *testing.T) {
	for _, tt := range []struct {
		name  string
		e     whatsapp.GraphError
		class whatsapp.Class
		retry bool
		after time.Duration
	}{
		{"known, whatever the status", whatsapp.GraphError{Code: 131026, Status: 500, Transient: true}, whatsapp.Recipient, false, 0},
		{"unknown, transient", whatsapp.GraphError{Code: 987654, Status: 400, Transient: true}, whatsapp.Transient, true, 0},
		{"unknown, 429", whatsapp.GraphError{Code: 987654, Status: 429}, whatsapp.ThrottleApp, true, 0},
		{"unknown, 403", whatsapp.GraphError{Code: 987654, Status: 403}, whatsapp.Auth, false, 0},
		{"unknown, 500", whatsapp.GraphError{Code: 987654, Status: 500}, whatsapp.Transient, true, 0},
		{"unknown, 400", whatsapp.GraphError{Code: 987654, Status: 400}, whatsapp.Permanent, false, 0},
		{"the subcode of a missing object", whatsapp.GraphError{Code: 100, Subcode: 33, Status: 400}, whatsapp.AccountBlocked, false, 0},
		{"another subcode", whatsapp.GraphError{Code: 100, Subcode: 7, Status: 400}, whatsapp.Permanent, false, 0},
		{"marketing, not for a day", whatsapp.GraphError{Code: 131049, Status: 400}, whatsapp.RecipientMarketing, false, 0},
		{"maintenance of an account", whatsapp.GraphError{Code: 2494100, Status: 400}, whatsapp.Transient, true, 3 * time.Minute},
		{"a call over its rate", whatsapp.GraphError{Code: 138009, Status: 429}, whatsapp.Calling, true, 0},
	} {
		v := whatsapp.Classify(tt.e)
		assert.Equal(t, tt.class, v.Class, tt.name)
		assert.Equal(t, tt.retry, v.Retryable, tt.name)
		assert.Equal(t, tt.after, v.After, tt.name)
	}
	assert.Equal(t, "pair", whatsapp.Classify(whatsapp.GraphError{Code: 131056}).Backoff)
}

package server_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"facteur/server"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// FuzzRequests sends bodies to each path: each answer is described, none is a fault of
// the daemon, and the description takes what the daemon takes.
func FuzzRequests(f *testing.F) {
	paths := []string{
		"/v1/flows/order_shipped/runs", "/v1/runs/run1/rerun", "/v1/runs/run1/cancel", "/v1/runs/run1/retry", "/v1/runs/run1/settle", "/v1/runs/run1/release",
		"/v1/events", "/v1/pause", "/v1/resume",
	}
	for i, path := range paths {
		f.Add(i, bodyOf(strings.NewReplacer("order_shipped", "{flow}", "run1", "{run}").Replace(path)), "", "")
	}
	f.Add(0, order, "wait=0s", "key")
	f.Add(0, `{"inputs":{"phone":"+33612345678","order_id":"1","items":[{"price":1}],"delay":"7d"}}`, "wait=1ns", `"quoted"`)
	f.Add(4, `{"step":"a","happened":false,"message_id":"x"}`, "a=b", "")
	f.Add(6, `{"event":"test.reply","at":"2026-01-01T00:00:00Z","data":{"from":"+1","raw":{"a":[1]}}}`, "", "")
	f.Add(7, `{"scope":"flow","name":"hello","reason":"r"}`, "", "")
	f.Fuzz(func(t *testing.T, path int, body, query, key string) {
		d := newDaemon(t, func(o *server.Options) { o.MaxWait = time.Millisecond })
		d.do("POST", "/v1/flows/order_shipped/runs", order)
		at := paths[uint(path)%uint(len(paths))]
		req := httptest.NewRequest("POST", "http://127.0.0.1"+at, strings.NewReader(body))
		req.URL.RawQuery = query
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
		resp := d.send(req)
		require.NotEqual(t, 500, resp.Code, resp.Body)
		if resp.Code >= 300 || strings.TrimSpace(body) == "" {
			return
		}
		described, where := loadSpec().at("", "paths", loadSpec().pathOf(req), "post", "requestBody", "content", "application/json")
		if described == nil {
			return
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
		require.NoError(t, err)
		require.NoError(t, loadSpec().validate(where+"/schema", v))
	})
}

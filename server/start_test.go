package server_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/plan"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const order = `{"inputs": {"phone": "+33612345678", "order_id": "7", "code": "4711-secret"}}`

func TestARunIsStarted(t *testing.T) {
	d := newDaemon(t)
	resp := d.do("POST", "/v1/flows/order_shipped/runs", order)
	assert.Equal(t, 201, resp.Code)
	assert.Equal(t, "/v1/runs/run1", resp.Header().Get("Location"))
	got := decode[server.Started](t, resp)
	assert.Equal(t, "run1", got.RunID)
	assert.Equal(t, machine.Running, got.Status)
	assert.Equal(t, "api", got.By)
	assert.Nil(t, got.Outputs)
	require.Len(t, d.host.starts, 1)
	assert.Equal(t, map[string]any{
		"phone": "+33612345678", "order_id": "7", "code": "4711-secret", "items": []any{}, "delay": time.Hour,
	}, d.host.starts[0].Inputs, "coerced, with defaults")
	assert.NotContains(t, d.host.starts[0].Given, "delay", "as they were given")
}

func TestARunWithoutInputsNeedsNoBody(t *testing.T) {
	d := newDaemon(t)
	assert.Equal(t, 201, d.do("POST", "/v1/flows/hello/runs", "").Code)
	assert.Equal(t, 201, d.do("POST", "/v1/flows/hello/runs", "{}").Code)
	assert.Equal(t, 201, d.do("POST", "/v1/flows/hello/runs", "{}", "Content-Type: application/json; charset=utf-8").Code)
}

func TestStartsThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		path, body string
		headers    []string
		kind       string
		errors     []server.FieldError
		detail     string
		hint       string
	}{
		"an unknown flow": {
			path: "/v1/flows/order_shiped/runs", body: order, kind: server.NotFound,
			detail: `there is no flow "order_shiped"`, hint: `did you mean "order_shipped"? flows: hello, order_shipped`,
		},
		"a body that is no JSON": {
			body: "{\n  \"inputs\": {,}\n}", kind: server.BadRequest, detail: "the body is not JSON: line 2, column 14: expected a name in double quotes",
		},
		"another kind of body": {
			body: order, headers: []string{"Content-Type: text/plain"}, kind: server.NotJSON, detail: `the body has the type "text/plain"`,
		},
		"JSON in another encoding": {
			body: order, headers: []string{"Content-Type: application/json; charset=latin1"}, kind: server.NotJSON,
		},
		"a body that is compressed": {
			body: "\x1f\x8b", headers: []string{"Content-Encoding: gzip"}, kind: server.NotJSON,
			detail: `the body is compressed: "gzip"`, hint: "send it uncompressed, without Content-Encoding",
		},
		"a list": {
			body: "[]", kind: server.Invalid, errors: []server.FieldError{{Rule: "type", Message: "expected object, got list"}},
		},
		"an unknown field": {
			body: `{"input": {}}`, kind: server.Invalid,
			errors: []server.FieldError{{Path: "input", Rule: "unknown-field", Message: `no field "input"`, Hint: `did you mean "inputs"? fields: inputs`}},
		},
		"inputs that do not fit": {
			body: `{"inputs": {"phone": "+33612345678", "order_id": "x", "items": [{"price": 1}, {"price": "much"}]}}`, kind: server.Invalid,
			detail: "the inputs of order_shipped are wrong",
			errors: []server.FieldError{
				{Path: "inputs.order_id", Rule: "pattern"},
				{Path: "inputs.items[1].price", Rule: "type"},
			},
		},
		"inputs that are missing": {
			body: "{}", kind: server.Invalid,
			errors: []server.FieldError{{Path: "inputs", Rule: "required", Message: `missing field "phone"`}, {Path: "inputs", Rule: "required", Message: `missing field "order_id"`}},
		},
		"no such parameter": {
			path: "/v1/flows/hello/runs?wayt=3s", kind: server.Invalid,
			errors: []server.FieldError{{Path: "query.wayt", Message: "there is no such parameter", Hint: `did you mean "wait"? parameters: wait`}},
		},
		"a wait that is no duration": {
			path: "/v1/flows/hello/runs?wait=soon", kind: server.Invalid,
			errors: []server.FieldError{{Path: "query.wait", Message: `"soon" is not a duration`}},
		},
		"an empty key": {
			path: "/v1/flows/hello/runs", headers: []string{`Idempotency-Key: ""`}, kind: server.Invalid,
			errors: []server.FieldError{{Path: "header.Idempotency-Key", Message: "it is empty"}},
		},
		"a long key": {
			path: "/v1/flows/hello/runs", headers: []string{"Idempotency-Key: " + strings.Repeat("k", 256)}, kind: server.Invalid,
			errors: []server.FieldError{{Path: "header.Idempotency-Key", Message: "it has 256 bytes, at most 255 are allowed"}},
		},
		"a strange key": {
			path: "/v1/flows/hello/runs", headers: []string{"Idempotency-Key: clé"}, kind: server.Invalid,
			errors: []server.FieldError{{Path: "header.Idempotency-Key", Message: "it contains characters that are not printable ASCII"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDaemon(t)
			if c.path == "" {
				c.path = "/v1/flows/order_shipped/runs"
			}
			p := d.refused("POST", c.path, c.body, c.headers...)
			assert.Equal(t, c.kind, p.Kind())
			if c.detail != "" {
				assert.Equal(t, c.detail, p.Detail)
			}
			if c.hint != "" {
				assert.Equal(t, c.hint, p.Hint)
			}
			require.Len(t, p.Errors, len(c.errors), p)
			for i, want := range c.errors {
				assert.Equal(t, want.Path, p.Errors[i].Path)
				if want.Rule != "" {
					assert.Equal(t, want.Rule, p.Errors[i].Rule)
				}
				if want.Message != "" {
					assert.Equal(t, want.Message, p.Errors[i].Message)
				}
				if want.Hint != "" {
					assert.Equal(t, want.Hint, p.Errors[i].Hint)
				}
			}
			assert.Empty(t, d.host.starts)
		})
	}
}

func TestAStartIsRepeated(t *testing.T) {
	d := newDaemon(t)
	key := "Idempotency-Key: order-7"
	assert.Equal(t, 201, d.do("POST", "/v1/flows/order_shipped/runs", order, key).Code)
	resp := d.do("POST", "/v1/flows/order_shipped/runs", order, `Idempotency-Key: "order-7"`)
	assert.Equal(t, 200, resp.Code)
	got := decode[server.Started](t, resp)
	assert.True(t, got.Repeated)
	assert.Equal(t, "run1", got.RunID)
	assert.Equal(t, "order-7", d.host.starts[0].Key)

	p := d.refused("POST", "/v1/flows/order_shipped/runs", strings.Replace(order, `"7"`, `"8"`, 1), key)
	assert.Equal(t, server.KeyReused, p.Kind())
	assert.Equal(t, "run1", p.RunID)
	assert.Len(t, d.host.starts, 1)
}

// Whoever repeats a start is told of its run, also where a reload has made the flow such that it
// could not be started now.
func TestAStartIsRepeatedAfterItsFlowHasChanged(t *testing.T) {
	key := "Idempotency-Key: order-7"
	for name, tt := range map[string]struct {
		flows []*plan.Plan
		kind  string // of the refusal of another start
	}{
		"its inputs are stricter": {[]*plan.Plan{compile(t, strings.Replace(orderFlow, `"^[0-9]+$"`, `"^[0-6]+$"`, 1))}, server.Invalid},
		"it is gone":              {nil, server.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDaemon(t)
			assert.Equal(t, 201, d.do("POST", "/v1/flows/order_shipped/runs", order, key).Code)
			assert.Equal(t, 201, d.do("POST", "/v1/runs/run1/rerun", "", "Idempotency-Key: again").Code)
			d.flows.now = tt.flows

			resp := d.do("POST", "/v1/flows/order_shipped/runs", order, key)
			require.Equal(t, 200, resp.Code, resp.Body)
			got := decode[server.Started](t, resp)
			assert.True(t, got.Repeated)
			assert.Equal(t, "run1", got.RunID)
			resp = d.do("POST", "/v1/runs/run1/rerun", `{"latest": true}`, "Idempotency-Key: again")
			require.Equal(t, 200, resp.Code, resp.Body)
			assert.Equal(t, "run2", decode[server.Started](t, resp).RunID)

			other := strings.Replace(order, `"7"`, `"8"`, 1)
			p := d.refused("POST", "/v1/flows/order_shipped/runs", other, key)
			assert.Equal(t, server.KeyReused, p.Kind())
			assert.Equal(t, "run1", p.RunID)
			for _, headers := range [][]string{nil, {"Idempotency-Key: order-8"}} {
				assert.Equal(t, tt.kind, d.refused("POST", "/v1/flows/order_shipped/runs", other, headers...).Kind())
			}
			assert.Len(t, d.host.starts, 2)
		})
	}
}

func TestARunThatIsRejected(t *testing.T) {
	d := newDaemon(t)
	d.host.reject = true
	p := d.refused("POST", "/v1/flows/hello/runs", "")
	assert.Equal(t, server.Rejected, p.Kind())
	assert.Equal(t, 409, p.Status)
	assert.Equal(t, "run1", p.RunID)
}

func TestWhoWaitsIsGivenTheOutputsInClearOnce(t *testing.T) {
	d := newDaemon(t)
	go func() {
		<-d.host.waits
		d.host.end("run1", machine.Result{Status: machine.Succeeded, Outputs: map[string]any{"code": "4711-secret", "delay": time.Hour, "to": "+33612345678"}}, "4711-secret")
	}()
	key := "Idempotency-Key: once"
	resp := d.do("POST", "/v1/flows/order_shipped/runs?wait=30s", order, key)
	assert.Equal(t, 201, resp.Code)
	got := decode[server.Started](t, resp)
	assert.Equal(t, machine.Succeeded, got.Status)
	assert.Equal(t, map[string]any{"code": "4711-secret", "delay": "1h", "to": "+33612345678"}, got.Outputs)
	assert.Equal(t, began.Add(time.Second), got.EndedAt)

	again := decode[server.Started](t, d.do("POST", "/v1/flows/order_shipped/runs?wait=30s", order, key))
	assert.True(t, again.Repeated)
	assert.Equal(t, map[string]any{"code": "[secret]", "delay": "1h", "to": "+*********78"}, again.Outputs)
	detail := decode[server.Detail](t, d.do("GET", "/v1/runs/run1", ""))
	assert.Equal(t, again.Outputs, detail.Outputs)
}

func TestWhoWaitsIsToldOfAFailure(t *testing.T) {
	d := newDaemon(t)
	go func() {
		<-d.host.waits
		d.host.end("run1", machine.Result{
			Status: machine.Failed, Step: "notify",
			Error: &call.Error{Code: "131026", MetaCode: 131026, Message: "+33612345678 with 4711-secret is not there", Class: "recipient", StatusCode: 400},
		}, "4711-secret")
	}()
	got := decode[server.Started](t, d.do("POST", "/v1/flows/order_shipped/runs?wait=30s", order))
	assert.Equal(t, machine.Failed, got.Status)
	assert.Equal(t, &server.Failure{
		Code: "131026", MetaCode: 131026, Message: "+*********78 with [secret] is not there", Class: "recipient", StatusCode: 400, Step: "notify",
	}, got.Error)
}

func TestAWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDaemon(t, func(o *server.Options) { o.MaxWait = 5 * time.Second })
		before := time.Now()
		resp := d.do("POST", "/v1/flows/hello/runs?wait=1h", "")
		assert.Equal(t, 5*time.Second, time.Since(before))
		assert.Equal(t, 201, resp.Code, "the run was started, and that is said")
		assert.Equal(t, machine.Running, decode[server.Started](t, resp).Status)
	})
}

func TestThoseWhoWaitDoNotKeepOthersOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDaemon(t, func(o *server.Options) { o.MaxRequests, o.MaxWaits = 1, 2 })
		var waiting sync.WaitGroup
		defer waiting.Wait()
		for range 2 {
			waiting.Go(func() { d.do("POST", "/v1/flows/hello/runs?wait=30s", "") })
			synctest.Wait()
		}
		before := time.Now()
		resp := d.do("POST", "/v1/flows/hello/runs?wait=30s", "")
		assert.Equal(t, 201, resp.Code, "one more than may wait is answered at once")
		assert.Zero(t, time.Since(before))
		assert.Equal(t, 200, d.do("GET", "/v1/runs", "").Code)
	})
}

func TestWaitsEndWhenTheDaemonStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopping, stop := context.WithCancel(t.Context())
		d := newDaemon(t, func(o *server.Options) { o.Stopping = stopping })
		go func() { <-d.host.waits; stop() }()
		before := time.Now()
		resp := d.do("POST", "/v1/flows/hello/runs?wait=30s", "")
		assert.Equal(t, machine.Running, decode[server.Started](t, resp).Status)
		assert.Zero(t, time.Since(before))
	})
}

// A stoppedHost is one that stops while somebody waits.
type stoppedHost struct{ host.Host }

func (stoppedHost) Wait(context.Context, string) (*host.Result, error) {
	return nil, &host.StoppingError{}
}

func TestWhoWaitsForAHostThatStopsIsNoError(t *testing.T) {
	d := newDaemon(t, func(o *server.Options) { o.Host = stoppedHost{o.Host} })
	resp := d.do("POST", "/v1/flows/hello/runs?wait=30s", "")
	assert.Equal(t, machine.Running, decode[server.Started](t, resp).Status)
	assert.NotContains(t, d.log.String(), "ERROR")
}

func TestARunIsStartedAgain(t *testing.T) {
	d := newDaemon(t)
	d.do("POST", "/v1/flows/order_shipped/runs", order)
	resp := d.do("POST", "/v1/runs/run1/rerun", "{}", "Idempotency-Key: again")
	assert.Equal(t, 201, resp.Code)
	assert.Equal(t, "run2", decode[server.Started](t, resp).RunID)
	assert.Equal(t, d.host.starts[0].Inputs, d.host.starts[1].Inputs)
	assert.Equal(t, "again", d.host.starts[1].Key)

	// The flow changes.
	d.flows.now = []*plan.Plan{compile(t, strings.Replace(orderFlow, "Tell the customer.", "Tell them.", 1))}
	p := d.refused("POST", "/v1/runs/run1/rerun", "")
	assert.Equal(t, server.Conflict, p.Kind())
	assert.Equal(t, `rerun it with "latest": true`, p.Hint)
	assert.Equal(t, 201, d.do("POST", "/v1/runs/run1/rerun", `{"latest": true}`).Code)

	// It takes other inputs now.
	d.flows.now = []*plan.Plan{compile(t, strings.Replace(orderFlow, `"^[0-9]+$"`, `"^[0-6]+$"`, 1))}
	p = d.refused("POST", "/v1/runs/run1/rerun", `{"latest": true}`)
	assert.Equal(t, server.Invalid, p.Kind())
	assert.Equal(t, "inputs.order_id", p.Errors[0].Path)

	p = d.refused("POST", "/v1/runs/nothing/rerun", "")
	assert.Equal(t, "there is no run nothing", p.Detail)
}

func TestARunIsStartedAgainAsItWas(t *testing.T) {
	old := compile(t, orderFlow)
	d := newDaemon(t, func(o *server.Options) {
		o.Restore = func(name string, sources map[string]string) (*plan.Plan, error) {
			assert.Equal(t, "order_shipped", name)
			assert.Equal(t, old.Texts, sources)
			return old, nil
		}
	})
	d.host.report["gone"] = &host.Report{
		Run: host.Run{ID: "gone", Flow: "order_shipped", Digest: "another"}, Sources: old.Texts, Inputs: map[string]any{"phone": "+33612345678", "order_id": "9"},
	}
	assert.Equal(t, 201, d.do("POST", "/v1/runs/gone/rerun", "").Code)
	assert.Equal(t, "9", d.host.starts[0].Inputs["order_id"])
}

// What a start answers is written by hand: it has to be what the tags of its type say.
func TestWhatAStartAnswersIsInTheFormOfItsType(t *testing.T) {
	d := newDaemon(t)
	resp := d.do("POST", "/v1/flows/order_shipped/runs", order)
	require.Equal(t, 201, resp.Code, resp.Body)
	want, err := json.Marshal(decode[server.Started](t, resp))
	require.NoError(t, err)
	assert.Equal(t, string(want)+"\n", resp.Body.String())
}

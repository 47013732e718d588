package server_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAStartWithoutInputs(t *testing.T) {
	d := newDaemon(t)
	web := httptest.NewServer(d.handler)
	defer web.Close()
	_, key, err := d.keys.Create("client", server.ScopeRun, time.Time{})
	require.NoError(t, err)
	began, err := (&server.Client{URL: web.URL, Key: key}).Start(t.Context(), "hello", server.StartRequest{}, server.StartOption{})
	require.NoError(t, err)
	assert.Equal(t, "hello", began.Flow)
}

func TestTheClientAsksForEverything(t *testing.T) {
	d := newDaemon(t)
	web := httptest.NewServer(d.handler)
	defer web.Close()
	_, key, err := d.keys.Create("client", server.ScopeAdmin, time.Time{})
	require.NoError(t, err)
	c := &server.Client{URL: web.URL + "/", Key: key}
	ctx := t.Context()

	go func() {
		<-d.host.waits
		d.host.end("run1", machine.Result{Status: machine.Succeeded, Outputs: map[string]any{"big": int64(9007199254740993)}})
	}()
	started, err := c.Start(ctx, "order_shipped", server.StartRequest{Inputs: map[string]any{"phone": "+33612345678", "order_id": "7", "delay": 2 * time.Hour}}, server.StartOption{Key: "k", Wait: 90 * time.Second})
	require.NoError(t, err)
	assert.Equal(t, machine.Succeeded, started.Status)
	assert.Equal(t, json.Number("9007199254740993"), started.Outputs["big"])
	assert.Equal(t, 2*time.Hour, d.host.starts[0].Inputs["delay"])
	assert.Equal(t, "k", d.host.starts[0].Key)

	again, err := c.Rerun(ctx, "run1", server.RerunRequest{Latest: true}, server.StartOption{})
	require.NoError(t, err)
	assert.Equal(t, "run2", again.RunID)

	list, err := c.Runs(ctx, host.Filter{Flow: "order_shipped", Status: "waiting", Unknown: true, Recipient: "+33612345678", Since: began, Until: began.Add(time.Hour), Cursor: "c", Limit: 5})
	require.NoError(t, err)
	assert.Len(t, list.Runs, 2)
	assert.Equal(t, host.Filter{
		Flow: "order_shipped", Status: host.Waiting, Unknown: true, Recipient: "+33612345678", Since: began, Until: began.Add(time.Hour), Cursor: "c", Limit: 5,
	}, d.host.filter)

	detail, err := c.Run(ctx, "run1", time.Second)
	require.NoError(t, err)
	assert.Equal(t, "run1", detail.RunID)

	require.NoError(t, c.Cancel(ctx, "run2", server.CancelRequest{Reason: "returned"}))
	require.NoError(t, c.Retry(ctx, "run2", server.RetryRequest{Resend: true}))
	require.NoError(t, c.Settle(ctx, "a/b c", server.SettleRequest{Step: "notify", Happened: true, MessageID: "wamid.X"}))
	require.NoError(t, c.Release(ctx, "run2"))
	require.NoError(t, c.Pause(ctx, server.PauseRequest{Scope: host.Connection, Name: "shop", Reason: "moving"}))
	require.NoError(t, c.Resume(ctx, server.ResumeRequest{Scope: host.Connection, Name: "shop"}))
	assert.Equal(t, []string{
		"cancel run2 returned", "retry run2 true", "settle a/b c notify true wamid.X", "release run2", "pause connection shop moving", "resume connection shop",
	}, d.host.did)

	delivered, err := c.Deliver(ctx, server.Event{ID: "e1", Event: "test.reply", At: began, Data: map[string]any{"from": "+33612345678"}})
	require.NoError(t, err)
	assert.Equal(t, "e1", delivered.ID)

	flows, err := c.Flows(ctx)
	require.NoError(t, err)
	assert.Len(t, flows.Flows, 2)
	flow, err := c.Flow(ctx, "hello")
	require.NoError(t, err)
	assert.Equal(t, plainFlow, flow.Sources["hello"])
	connections, err := c.Connections(ctx)
	require.NoError(t, err)
	assert.Empty(t, connections.Connections)
	holds, err := c.Holds(ctx)
	require.NoError(t, err)
	assert.Empty(t, holds.Holds)
	d.flows.next = d.flows.now
	reloaded, err := c.Reload(ctx)
	require.NoError(t, err)
	assert.Equal(t, 2, reloaded.Flows)
	keys, err := c.Keys(ctx)
	require.NoError(t, err)
	assert.Len(t, keys.Keys, 1)
	test, err := c.Export(ctx, "run1")
	require.NoError(t, err)
	assert.Equal(t, "flow: order_shipped\n", string(test))
	ready, err := c.Ready(ctx)
	require.NoError(t, err)
	assert.True(t, ready.Ready)
}

func TestTheClientReturnsProblems(t *testing.T) {
	d := newDaemon(t)
	web := httptest.NewServer(d.handler)
	defer web.Close()
	c := &server.Client{URL: web.URL}
	_, err := c.Start(t.Context(), "order_shipped", server.StartRequest{Inputs: map[string]any{"phone": "0612"}}, server.StartOption{})
	var p *server.Problem
	require.ErrorAs(t, err, &p)
	assert.Equal(t, server.Invalid, p.Kind())
	assert.Len(t, p.Errors, 2)
	assert.ErrorContains(t, err, "the inputs of order_shipped are wrong: inputs")
	assert.ErrorContains(t, err, "inputs.phone: ")
}

func TestTheClientSaysWhatIsNoDaemon(t *testing.T) {
	answer, kind := "<html>Bad Gateway</html>", "text/html"
	status := 502
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	}))
	defer web.Close()
	c := &server.Client{URL: web.URL}
	_, err := c.Flows(t.Context())
	var p *server.Problem
	require.ErrorAs(t, err, &p)
	assert.Equal(t, 502, p.Status)
	assert.Empty(t, p.Kind())
	assert.ErrorContains(t, err, "answered 502 Bad Gateway, which is not an answer of a daemon")

	status = 200
	_, err = c.Flows(t.Context())
	assert.ErrorContains(t, err, "the answer cannot be read")
	status, kind, answer = 503, "application/json", `{"ready":false,"checks":[]}`
	ready, err := c.Ready(t.Context())
	require.NoError(t, err)
	assert.False(t, ready.Ready)

	web.Close()
	_, err = c.Flows(t.Context())
	assert.Error(t, err)
	_, err = (&server.Client{}).Flows(t.Context())
	assert.EqualError(t, err, "the daemon's URL is missing")
}

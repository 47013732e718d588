package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"facteur/actions"
	"facteur/actions/httpcall"
	"facteur/actions/whatsapp"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/machine"
	"facteur/flow/plan"
	"facteur/flow/record"
	"facteur/project"
	"facteur/vault"

	"github.com/stretchr/testify/require"
)

const quickstart = "../../examples/quickstart/order_shipped.flow.yaml"

// BenchmarkCompile parses and compiles the quickstart flow.
func BenchmarkCompile(b *testing.B) {
	catalog, err := project.Descriptions()
	require.NoError(b, err)
	lib := plan.Library{Catalog: catalog}
	b.ReportAllocs()
	for b.Loop() {
		f, err := new(project.Project).Parse(quickstart)
		if err != nil || f.Diags.HasErrors() {
			b.Fatal(err, f.Diags)
		}
		if _, diags := plan.Compile(f.Flow, lib); diags.HasErrors() {
			b.Fatal(diags)
		}
	}
}

// BenchmarkRun runs the quickstart flow in memory, against a recorded answer.
func BenchmarkRun(b *testing.B) {
	x := newBench(b)
	text, err := os.ReadFile("../../examples/quickstart/recordings/accepted.yaml")
	require.NoError(b, err)
	exchanges, diags := record.Parse("accepted.yaml", text)
	require.False(b, diags.HasErrors(), diags)
	clock := host.NewVirtual(time.Unix(0, 0))
	x.clock = clock
	b.ReportAllocs()
	for b.Loop() {
		// A recording is used up, so each run has one of its own; it is part of what is measured.
		x.transport = record.NewPlayer(exchanges, record.PlayerOptions{Sleep: clock.Sleep})
		x.run(b)
	}
}

// BenchmarkSend compares, against one server, the bare net/http loop with a run in
// memory that makes the same request.
func BenchmarkSend(b *testing.B) {
	answer := []byte(`{"messaging_product":"whatsapp","contacts":[{"input":"+33612345678","wa_id":"33612345678"}],"messages":[{"id":"wamid.1"}]}`)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	}))
	defer server.Close()
	body := []byte(`{"messaging_product":"whatsapp","to":"+33612345678","type":"text","text":{"body":"hello"}}`)
	b.Run("bare", func(b *testing.B) {
		b.ReportAllocs()
		client := &http.Client{Transport: http.DefaultTransport}
		for b.Loop() {
			req, err := http.NewRequest(http.MethodPost, server.URL+"/v23.0/106540352242922/messages", bytes.NewReader(body))
			require.NoError(b, err)
			req.Header.Set("Content-Type", "application/json")
			resp, err := client.Do(req)
			require.NoError(b, err)
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	})
	b.Run("facteur", func(b *testing.B) {
		x := newBench(b)
		x.transport = redirectTo{server.Listener.Addr().String()}
		b.ReportAllocs()
		for b.Loop() {
			x.run(b)
		}
	})
}

// redirectTo sends every request to one server.
type redirectTo struct{ address string }

func (t redirectTo) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.URL.Scheme, req.URL.Host = "http", t.address
	return http.DefaultTransport.RoundTrip(req)
}

// BenchmarkValidate checks a project of 1,000 flows.
func BenchmarkValidate(b *testing.B) {
	dir := b.TempDir()
	text, err := os.ReadFile(quickstart)
	require.NoError(b, err)
	require.NoError(b, os.WriteFile(filepath.Join(dir, project.FileName), nil, 0o644))
	for i := range 1000 {
		name := fmt.Sprintf("flow_%d", i)
		one := bytes.Replace(text, []byte("flow: order_shipped"), []byte("flow: "+name), 1)
		require.NoError(b, os.WriteFile(filepath.Join(dir, name+project.FlowSuffix), one, 0o644))
	}
	a := &app{stdout: io.Discard, stderr: io.Discard}
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, a.validate([]string{dir}, false))
	}
}

func compileQuickstart(b *testing.B) *plan.Plan {
	b.Helper()
	p, _, err := project.Open(quickstart)
	require.NoError(b, err)
	f, err := p.Parse(quickstart)
	require.NoError(b, err)
	catalog, err := project.Descriptions()
	require.NoError(b, err)
	compiled, diags := plan.Compile(f.Flow, plan.Library{Catalog: catalog})
	require.False(b, diags.HasErrors(), diags)
	return compiled
}

func quickstartInputs(b *testing.B, p *plan.Plan) map[string]any {
	b.Helper()
	coerced, found := p.Inputs.Coerce(map[string]any{"phone": "+33612345678", "order_id": "7"})
	require.NoError(b, found.Err())
	return coerced.(map[string]any)
}

// A bench runs a plan repeatedly with one catalogue.
type bench struct {
	plan      *plan.Plan
	inputs    map[string]any
	set       *actions.Set
	transport http.RoundTripper
	clock     host.Clock
}

func newBench(b *testing.B) *bench {
	b.Helper()
	compiled := compileQuickstart(b)
	x := &bench{plan: compiled, inputs: quickstartInputs(b, compiled), clock: host.System{}}
	connection := vault.Connection{
		Name: "whatsapp_shop", App: vault.WhatsApp, Version: "1",
		Secrets: map[string]vault.Secret{"token": vault.NewSecret(project.TestToken)},
	}
	v, err := vault.New(vault.Config{Fixed: map[string]vault.Connection{connection.Name: connection}})
	require.NoError(b, err)
	x.set, err = project.NewCatalog(v, x, httpcall.Policy{}, whatsapp.Options{})
	require.NoError(b, err)
	return x
}

func (x *bench) RoundTrip(req *http.Request) (*http.Response, error) {
	return x.transport.RoundTrip(req)
}

func (x *bench) run(b *testing.B) {
	h := local.New(local.Options{Journal: &journal.Memory{}, Do: record.WithCallInfo(x.set, x.set.Do), Clock: x.clock})
	result, err := h.Run(b.Context(), x.plan, local.Start{Inputs: x.inputs})
	if err != nil || result.Status != machine.Succeeded {
		b.Fatal(err, result)
	}
}

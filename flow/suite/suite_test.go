package suite_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/diag"
	"facteur/flow/plan"
	"facteur/flow/schema"
	"facteur/flow/suite"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden parts of testdata/suites")

const corpus = "../../testdata/suites"

// The catalogue of these tests: an action that posts a message, and two kinds of event.
type (
	letter struct {
		To   string `json:"to" schema:"required"`
		Text string `json:"text" schema:"required"`
	}
	answer struct {
		StatusCode int    `json:"status_code" schema:"required,always"`
		Window     string `json:"window" schema:"required,always"`
		ID         string `json:"id" schema:"required"`
		State      string `json:"state" schema:"required"`
		Body       any    `json:"body" schema:"required"`
	}
	message struct {
		From          string `json:"from" schema:"required,always"`
		SenderPhoneID string `json:"sender_phone_id" schema:"required,always"`
		Text          string `json:"text" schema:"required,always"`
		Raw           any    `json:"raw" schema:"required,always"`
	}
	webhook struct {
		Path string `json:"path" schema:"required,always"`
		Body any    `json:"body" schema:"required,always"`
	}
)

type catalog struct{}

func (catalog) Action(name string) *call.Signature {
	if name != "letter.post" {
		return nil
	}
	return &call.Signature{
		Name: name, App: "LETTER", ConnectionOptional: true,
		In: schema.Of[letter](), Out: schema.Of[answer](),
		Recipient: func(in map[string]any) string { s, _ := in["to"].(string); return s },
		States:    []string{"delivered"},
		Volatile:  []string{"key"},
		Settle: func(_, out map[string]any, r call.Receipt, want string) call.Outcome {
			out = map[string]any{"status_code": out["status_code"], "window": "", "state": r.State, "id": "late"}
			switch {
			case r.State == "failed":
				return call.Outcome{Status: call.Failed, Output: out, Error: r.Error}
			case want != "" && r.State != want:
				return call.Outcome{Status: call.Pending, Output: out}
			}
			return call.Outcome{Status: call.Succeeded, Output: out}
		},
	}
}

func (catalog) Event(name string) *call.Event {
	switch name {
	case "whatsapp.message":
		return &call.Event{Name: name, Type: schema.Of[message](), By: "from", SinceCall: true, Subject: func(s string) (string, error) {
			if !strings.HasPrefix(s, "+") {
				return "", fmt.Errorf("%q is not a phone number; write it as +33612345678", s)
			}
			return s, nil
		}}
	case "webhook":
		return &call.Event{Name: name, Type: schema.Of[webhook](), By: "path"}
	}
	return nil
}

func (catalog) Names() (actions, events []string) {
	return []string{"letter.post"}, []string{"webhook", "whatsapp.message"}
}

// do performs the calls of one case over its transport.
func do(w suite.Environment) (call.Do, error) {
	return func(ctx context.Context, c call.Call) call.Outcome {
		body, err := json.Marshal(map[string]any{"to": c.Input["to"], "text": c.Input["text"], "key": c.Key})
		if err != nil {
			return call.Outcome{Status: call.Unknown}
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://letters.test/v1.0/letters", bytes.NewReader(body))
		if err != nil {
			return call.Outcome{Status: call.Unknown}
		}
		req.Header.Set("Content-Type", "application/json")
		if token, _ := w.Connections[c.Connection]["token"].(string); token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		out := map[string]any{"status_code": int64(0), "window": w.Window[fmt.Sprint(c.Input["to"])]}
		resp, err := w.RoundTripper.RoundTrip(req)
		if err != nil {
			return call.Outcome{Status: call.Unknown, Output: out, Error: &call.Error{Code: "no_answer", Message: "no answer came"}}
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		var parsed any
		_ = json.Unmarshal(text, &parsed)
		out["status_code"], out["body"] = int64(resp.StatusCode), parsed
		if resp.StatusCode == http.StatusOK {
			fields, _ := parsed.(map[string]any)
			out["id"] = fields["id"]
			status := call.Succeeded
			if c.Await != "" {
				status = call.Pending
			}
			return call.Outcome{Status: status, Output: out}
		}
		return call.Outcome{Status: call.Failed, Output: out, Retryable: resp.StatusCode == http.StatusTooManyRequests,
			Error: &call.Error{Code: fmt.Sprint(resp.StatusCode), StatusCode: int64(resp.StatusCode), Message: "refused", Class: "test"}}
	}, nil
}

// library is the library of an archive's flows.
func library(t testing.TB, files []txtar.File) plan.Library {
	flows := map[string]*flow.Flow{}
	lib := plan.Library{Catalog: catalog{}, Settings: map[string]any{"shop": "Chez Nous"}}
	for _, f := range files {
		if !strings.HasSuffix(f.Name, ".flow.yaml") {
			continue
		}
		parsed, diags := flow.Parse(f.Name, f.Data)
		require.NoError(t, diags.Err())
		flows[parsed.Name.Value] = parsed
		lib.FlowNames = append(lib.FlowNames, parsed.Name.Value)
	}
	lib.Flow = func(name string) *flow.Flow { return flows[name] }
	return lib
}

func options(files []txtar.File) suite.Options {
	return suite.Options{Do: do, ReadFile: func(name string) ([]byte, error) {
		i := slices.IndexFunc(files, func(f txtar.File) bool { return f.Name == name })
		if i < 0 {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return files[i].Data, nil
	}}
}

// golden runs f on every archive of a folder, and compares with its last part, "want".
func golden(t *testing.T, folder string, f func(t *testing.T, files []txtar.File) string) {
	names, err := filepath.Glob(filepath.Join(corpus, folder, "*.txtar"))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(name)
			require.NoError(t, err)
			last := len(archive.Files) - 1
			require.Equal(t, "want", archive.Files[last].Name)
			got := f(t, archive.Files[:last])
			if *update {
				archive.Files[last].Data = []byte(got)
				require.NoError(t, os.WriteFile(name, txtar.Format(archive), 0o644))
			}
			assert.Equal(t, string(archive.Files[last].Data), got)
		})
	}
}

// reports loads and runs the test files of an archive.
func reports(t testing.TB, files []txtar.File) suite.Reports {
	lib := library(t, files)
	var all suite.Reports
	for _, file := range files {
		if !strings.HasSuffix(file.Name, ".test.yaml") {
			continue
		}
		f, diags := suite.Load(file.Name, file.Data, lib)
		if f == nil {
			all = append(all, &suite.Report{File: file.Name, Diagnostics: diags})
			continue
		}
		r := suite.Run(context.Background(), f, options(files))
		r.Diagnostics = diags
		all = append(all, r)
	}
	return all
}

func TestRun(t *testing.T) {
	golden(t, "run", func(t *testing.T, files []txtar.File) string {
		rs := reports(t, files)
		var b strings.Builder
		require.NoError(t, rs.Text(&b, suite.TextOptions{Verbose: true}))
		rs.Coverage().Text(&b)
		return b.String()
	})
}

func TestLoad(t *testing.T) {
	golden(t, "load", func(t *testing.T, files []txtar.File) string {
		lib := library(t, files)
		var b strings.Builder
		for _, file := range files {
			if strings.HasSuffix(file.Name, ".test.yaml") {
				f, diags := suite.Load(file.Name, file.Data, lib)
				assert.Equal(t, diags.HasErrors(), f == nil)
				require.NoError(t, diag.Printer{W: &b}.Print(diags))
			}
		}
		return b.String()
	})
}

// Runs are repeatable, also while others run concurrently.
func TestRunsRepeat(t *testing.T) {
	names, err := filepath.Glob(filepath.Join(corpus, "run", "*.txtar"))
	require.NoError(t, err)
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		require.NoError(t, err)
		var first bytes.Buffer
		require.NoError(t, reports(t, archive.Files).JSON(&first))
		for range 4 {
			t.Run(filepath.Base(name), func(t *testing.T) {
				t.Parallel()
				var again bytes.Buffer
				require.NoError(t, reports(t, archive.Files).JSON(&again))
				assert.Equal(t, first.String(), again.String())
			})
		}
	}
}

func TestSelect(t *testing.T) {
	archive, err := txtar.ParseFile(filepath.Join(corpus, "run", "exchanges.txtar"))
	require.NoError(t, err)
	f, diags := suite.Load("a.test.yaml", archive.Files[1].Data, library(t, archive.Files))
	require.NoError(t, diags.Err())
	o := options(archive.Files)
	o.Select = func(name string) bool { return strings.Contains(name, "accepted") }
	r := suite.Run(context.Background(), f, o)
	require.Len(t, r.Cases, 1)
	assert.True(t, r.Passed())
}

func TestInterrupted(t *testing.T) {
	archive, err := txtar.ParseFile(filepath.Join(corpus, "run", "exchanges.txtar"))
	require.NoError(t, err)
	f, diags := suite.Load("a.test.yaml", archive.Files[1].Data, library(t, archive.Files))
	require.NoError(t, diags.Err())
	ctx, cancel := context.WithCancel(context.Background())
	o := options(archive.Files)
	o.Do = func(w suite.Environment) (call.Do, error) {
		cancel()
		return do(w)
	}
	r := suite.Run(ctx, f, o)
	require.Len(t, r.Cases, 1)
	require.NotEmpty(t, r.Cases[0].Failures)
	assert.Equal(t, "interrupted", r.Cases[0].Failures[0].Message)
}

func TestDoRefuses(t *testing.T) {
	archive, err := txtar.ParseFile(filepath.Join(corpus, "run", "exchanges.txtar"))
	require.NoError(t, err)
	f, diags := suite.Load("a.test.yaml", archive.Files[1].Data, library(t, archive.Files))
	require.NoError(t, diags.Err())
	o := options(archive.Files)
	o.Do = func(suite.Environment) (call.Do, error) {
		return nil, errors.New("there is no connection \"letters\"")
	}
	r := suite.Run(context.Background(), f, o)
	assert.False(t, r.Passed())
	assert.Equal(t, "there is no connection \"letters\"", r.Cases[0].Failures[0].Message)
}

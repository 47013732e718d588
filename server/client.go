package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"facteur/flow/host"
	"facteur/flow/schema"
)

// A Client makes requests to a daemon. Errors that the daemon answers are *Problem; without an
// answer, e.g. where nothing listens, they are *UnreachableError. Numbers in the values that it
// returns are json.Number. It is safe for concurrent use.
type Client struct {
	URL  string       // of the daemon, e.g. http://127.0.0.1:8180
	Key  string       // "": none
	HTTP *http.Client // nil: http.DefaultClient
}

// An UnreachableError says that no answer of the daemon came.
type UnreachableError struct {
	Address string // scheme and host
	Err     error  // of HTTP
}

func (e *UnreachableError) Error() string {
	return "the daemon at " + e.Address + " does not answer: " + e.Err.Error()
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// A StartOption is what a start says outside its body.
type StartOption struct {
	Key  string        // of idempotency; "": each start is a new run
	Wait time.Duration // for the run's end, as far as the daemon allows; 0: not at all
}

// Start starts a run of a flow.
func (c *Client) Start(ctx context.Context, flow string, r StartRequest, o StartOption) (*Started, error) {
	r.Inputs, _ = schema.JSON(r.Inputs).(map[string]any) // durations have no JSON of their own
	if r.Inputs == nil {
		r.Inputs = map[string]any{}
	}
	return fetch[Started](ctx, c, startRequest("/v1/flows/"+url.PathEscape(flow)+"/runs", r, o))
}

// Rerun starts a run with the inputs of another.
func (c *Client) Rerun(ctx context.Context, run string, r RerunRequest, o StartOption) (*Started, error) {
	return fetch[Started](ctx, c, startRequest(runPath(run, "rerun"), r, o))
}

// Runs returns one page of runs, the last started first.
func (c *Client) Runs(ctx context.Context, f host.Filter) (*RunList, error) {
	return fetch[RunList](ctx, c, apiRequest{path: "/v1/runs", query: filterQuery(f)})
}

// Run returns all that is known of a run. With wait it first waits for the run's end,
// as far as the daemon allows.
func (c *Client) Run(ctx context.Context, run string, wait time.Duration) (*Detail, error) {
	return fetch[Detail](ctx, c, apiRequest{path: runPath(run, ""), query: waitQuery(wait)})
}

// Cancel asks a run to end.
func (c *Client) Cancel(ctx context.Context, run string, r CancelRequest) error {
	return c.post(ctx, runPath(run, "cancel"), r)
}

// Retry makes a run that failed go on.
func (c *Client) Retry(ctx context.Context, run string, r RetryRequest) error {
	return c.post(ctx, runPath(run, "retry"), r)
}

// Settle sets the outcome of a call whose outcome is unknown.
func (c *Client) Settle(ctx context.Context, run string, r SettleRequest) error {
	return c.post(ctx, runPath(run, "settle"), r)
}

// Release lets a run continue that is held since a backup was restored.
func (c *Client) Release(ctx context.Context, run string) error {
	return c.post(ctx, runPath(run, "release"), nil)
}

// Deliver brings an event to the runs that wait for it, and to triggers.
func (c *Client) Deliver(ctx context.Context, e Event) (*Delivered, error) {
	return fetch[Delivered](ctx, c, apiRequest{method: http.MethodPost, path: "/v1/events", body: e})
}

// Flows returns the project's flows.
func (c *Client) Flows(ctx context.Context) (*FlowList, error) {
	return fetch[FlowList](ctx, c, apiRequest{path: "/v1/flows"})
}

// Flow returns all that there is to know of a flow.
func (c *Client) Flow(ctx context.Context, name string) (*FlowDetail, error) {
	return fetch[FlowDetail](ctx, c, apiRequest{path: "/v1/flows/" + url.PathEscape(name)})
}

// Connections returns the project's connections, without their secrets.
func (c *Client) Connections(ctx context.Context) (*ConnectionList, error) {
	return fetch[ConnectionList](ctx, c, apiRequest{path: "/v1/connections"})
}

// Holds returns why calls are held back now.
func (c *Client) Holds(ctx context.Context) (*HoldList, error) {
	return fetch[HoldList](ctx, c, apiRequest{path: "/v1/holds"})
}

// Pause holds calls back until Resume.
func (c *Client) Pause(ctx context.Context, r PauseRequest) error {
	return c.post(ctx, "/v1/pause", r)
}

// Resume lifts a hold.
func (c *Client) Resume(ctx context.Context, r ResumeRequest) error {
	return c.post(ctx, "/v1/resume", r)
}

// Reload makes the daemon read its flows again. Mistakes are a *Problem of the kind
// InvalidFlows, with Diagnostics.
func (c *Client) Reload(ctx context.Context) (*Reloaded, error) {
	return fetch[Reloaded](ctx, c, apiRequest{method: http.MethodPost, path: "/v1/reload"})
}

// Keys returns the daemon's keys, without their secrets.
func (c *Client) Keys(ctx context.Context) (*KeyList, error) {
	return fetch[KeyList](ctx, c, apiRequest{path: "/v1/keys"})
}

// Export returns a run as a flow test, in YAML.
func (c *Client) Export(ctx context.Context, run string) ([]byte, error) {
	resp, err := c.do(ctx, apiRequest{path: runPath(run, "export")})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// Ready returns whether the daemon can work, and why not.
func (c *Client) Ready(ctx context.Context) (*Readiness, error) {
	return fetch[Readiness](ctx, c, apiRequest{path: "/readyz", alsoOK: http.StatusServiceUnavailable})
}

// filterQuery returns a filter as query parameters.
func filterQuery(f host.Filter) url.Values {
	v := url.Values{}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	set("flow", f.Flow)
	set("status", string(f.Status))
	set("recipient", f.Recipient)
	set("cursor", f.Cursor)
	if f.Unknown {
		v.Set("unknown", "true")
	}
	if !f.Since.IsZero() {
		v.Set("since", f.Since.Format(time.RFC3339Nano))
	}
	if !f.Until.IsZero() {
		v.Set("until", f.Until.Format(time.RFC3339Nano))
	}
	if f.Limit != 0 {
		v.Set("limit", strconv.Itoa(f.Limit))
	}
	return v
}

func runPath(run, verb string) string {
	path := "/v1/runs/" + url.PathEscape(run)
	if verb != "" {
		path += "/" + verb
	}
	return path
}

func waitQuery(wait time.Duration) url.Values {
	if wait <= 0 {
		return nil
	}
	return url.Values{"wait": {schema.FormatDuration(wait)}}
}

func startRequest(path string, body any, o StartOption) apiRequest {
	return apiRequest{method: http.MethodPost, path: path, query: waitQuery(o.Wait), body: body, key: o.Key}
}

// An apiRequest is a request that the client makes.
type apiRequest struct {
	method string // "": GET
	path   string // escaped
	query  url.Values
	body   any    // nil: none
	key    string // of idempotency
	alsoOK int    // a status over 299 that has the same body
}

func (c *Client) post(ctx context.Context, path string, body any) error {
	resp, err := c.do(ctx, apiRequest{method: http.MethodPost, path: path, body: body})
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// fetch makes a request and decodes its answer.
func fetch[T any](ctx context.Context, c *Client, r apiRequest) (*T, error) {
	resp, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	d := json.NewDecoder(resp.Body)
	d.UseNumber()
	v := new(T)
	if err := d.Decode(v); err != nil {
		return nil, fmt.Errorf("%s %s: the answer cannot be read: %w", resp.Request.Method, resp.Request.URL.Redacted(), err)
	}
	return v, nil
}

func (c *Client) do(ctx context.Context, r apiRequest) (*http.Response, error) {
	base := strings.TrimSuffix(c.URL, "/")
	if base == "" {
		return nil, errors.New("the daemon's URL is missing")
	}
	target := base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	var body io.Reader
	if r.body != nil {
		text, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Key != "" {
		req.Header.Set("Authorization", "Bearer "+c.Key)
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	web := c.HTTP
	if web == nil {
		web = http.DefaultClient
	}
	resp, err := web.Do(req)
	if err != nil {
		return nil, &UnreachableError{Address: req.URL.Scheme + "://" + req.URL.Host, Err: errors.Unwrap(err)} // of a *url.Error
	}
	if resp.StatusCode > 299 && resp.StatusCode != r.alsoOK {
		defer resp.Body.Close()
		return nil, readProblem(resp)
	}
	return resp, nil
}

// readProblem reads the problem that a daemon, or a proxy in front of it, answers.
func readProblem(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	p := &Problem{}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err == nil && kind == "application/problem+json" && json.Unmarshal(text, p) == nil {
		return p
	}
	return &Problem{
		Status: resp.StatusCode, Title: http.StatusText(resp.StatusCode),
		Detail: fmt.Sprintf("%s answered %s, which is not an answer of a daemon", resp.Request.URL.Host, resp.Status),
		Hint:   "check the daemon's URL, and any proxy in between",
	}
}

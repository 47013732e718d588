// Package record holds recorded HTTP exchanges: their format in YAML, strict matching of
// requests, an http.RoundTripper that replays them, and one that records them.
//
// Use Parse or ParseNode to read exchanges and a Player to run actions without a network; use
// a Recorder around a real transport to make a recording. Matching is strict, and lenient only
// where the file says so: with {$any: true}, {$regex: "…"}, {$cel: "…"}, and $more: true for
// other keys of an object.
package record

import (
	"context"
	"strings"
	"time"

	"facteur/flow/call"
	"facteur/flow/diag"
)

// An Exchange is one request and its response.
type Exchange struct {
	Step     string // the id or the path of the step that makes the request; "": any step
	Times    int    // how many requests it answers; 0: one
	Request  Request
	Response Response
	Range    diag.Range
}

// A Request says which requests an exchange answers. A nil matcher is not compared, but a
// request without a matcher for the body only matches requests without a body.
type Request struct {
	Method string // upper case
	Path   string // may omit the version: /106/messages also matches /v23.0/106/messages
	Host   string // scheme and host, "https://api.shop.test"; "": any

	Query   Matcher // of an object: texts, or lists of texts for repeated names
	Headers Matcher // likewise; other headers are not compared

	// At most one of the three is set.
	JSON Matcher
	Text Matcher
	Form Matcher // like Query
}

// A Response is the recorded response, or how it was lost.
type Response struct {
	Status  int
	Headers map[string]string // names in canonical form

	// At most one of the three is set.
	JSON any
	Text string
	HTML string

	Lost      string        // "", LostTimeout or LostReset
	Delay     time.Duration // virtual: see PlayerOptions.Sleep
	Truncated bool          // the body breaks off in the middle

	encoded *payload // by Parse; nil in a response made by hand
}

// How a response gets lost: the request was accepted, but the client never knows.
const (
	LostTimeout = "timeout"
	LostReset   = "reset"
)

// Info identifies the call that makes a request, for a Player or a Recorder.
type Info struct {
	Step    string // the step's id
	Path    string // the step's path, e.g. "each[3].send"; "": same as Step
	Attempt int    // from 1; 0: unknown
	// Iteration is the path of the iteration of the enclosing foreach, e.g. "each[3]"; ""
	// outside of one.
	Iteration string
	// Volatile are the paths in the request's JSON or form that are neither compared nor
	// recorded, as "a.b"; lists on the way are traversed.
	Volatile []string
}

// WithCallInfo wraps do so that the requests of each call carry its Info.
func WithCallInfo(catalog call.Catalog, do call.Do) call.Do {
	return func(ctx context.Context, c call.Call) call.Outcome {
		var volatile []string
		if sig := catalog.Action(c.Action); sig != nil {
			volatile = sig.Volatile
		}
		return do(WithInfo(ctx, InfoOf(c, volatile)), c)
	}
}

// InfoOf returns the Info of a call. Step is the id, without the foreach iterations and called
// flows before it; a step without an id keeps its whole path.
func InfoOf(c call.Call, volatile []string) Info {
	info := Info{Step: c.Step, Path: c.Step, Attempt: c.Attempt, Volatile: volatile}
	at := strings.LastIndexAny(c.Step, "./") + 1
	if id := c.Step[at:]; !strings.Contains(id, "[") {
		info.Step = id
		if prefix := c.Step[:at]; strings.Contains(prefix, "[") {
			info.Iteration = strings.TrimRight(prefix, "./")
		}
	}
	return info
}

// matches reports whether an exchange's step is the one that makes the request.
func (i Info) matches(step string) bool { return step == i.Step || step == i.Path && step != "" }

type infoKey struct{}

// WithInfo returns a context for the requests that info identifies.
func WithInfo(ctx context.Context, info Info) context.Context {
	return context.WithValue(ctx, infoKey{}, info)
}

func infoOf(ctx context.Context) Info {
	info, _ := ctx.Value(infoKey{}).(Info)
	return info
}

// Package record holds recorded HTTP exchanges: their format in YAML, the strict
// matching of a request against them, an http.RoundTripper that answers from them,
// and one that writes them down.
//
// Use Parse or ParseNode to read exchanges and a Player to run actions without a
// network; use a Recorder around a real transport to make a recording. Matching is
// strict, and lenient only where the file says so: with {$any: true}, {$regex: "…"},
// {$cel: "…"}, and $more: true for further keys of an object.
package record

import (
	"context"
	"strings"
	"time"

	"facteur/flow/call"
	"facteur/flow/diag"
)

// An Exchange is one request and what came of it.
type Exchange struct {
	Step     string // the step that makes the request, its id or its path; "": any step
	Times    int    // how many requests it answers; 0: one
	Request  Request
	Response Response
	Range    diag.Range
}

// A Request says which requests an exchange answers. A nil matcher is not compared,
// except that a request with no body matcher matches only requests without a body.
type Request struct {
	Method string // upper case
	Path   string // may leave out the version: /106/messages also is /v23.0/106/messages
	Host   string // scheme and host, "https://api.shop.test"; "": any

	Query   Matcher // of an object: texts, or lists of texts where a name repeats
	Headers Matcher // likewise; headers that it does not name are not compared

	// At most one of the three is set.
	JSON Matcher
	Text Matcher
	Form Matcher // like Query
}

// A Response is the recorded answer, or how it was lost.
type Response struct {
	Status  int
	Headers map[string]string // names in canonical form

	// At most one of the three is set.
	JSON any
	Text string
	HTML string

	Lost      string        // "", LostTimeout or LostReset
	Delay     time.Duration // virtual: see PlayerOptions.Sleep
	Truncated bool          // the body breaks off in its middle

	ready *content // encoded by Parse, nil in a response made by hand
}

// How an answer gets lost: the request was accepted, but the client never knows.
const (
	LostTimeout = "timeout"
	LostReset   = "reset"
)

// Info tells a Player or a Recorder whose request it sees.
type Info struct {
	Step    string // its id
	Path    string // where it ran, e.g. "each[3].send"; "": as Step
	Attempt int    // from 1; 0: unknown
	// Iteration is the place within the enclosing foreach, e.g. "each[3]"; "" outside
	// of one.
	Iteration string
	// Volatile are the paths of the request's JSON or form that are not compared and
	// not recorded, as "a.b"; lists on the way are passed through.
	Volatile []string
}

// Described makes calls of the actions of a catalogue, and tells a Player or a Recorder
// whose their requests are.
func Described(catalog call.Catalog, do call.Do) call.Do {
	return func(ctx context.Context, c call.Call) call.Outcome {
		var volatile []string
		if sig := catalog.Action(c.Action); sig != nil {
			volatile = sig.Volatile
		}
		return do(WithInfo(ctx, InfoOf(c, volatile)), c)
	}
}

// InfoOf describes the requests of a call that the machine asked for. Its step is the
// id, without the foreach iterations and called flows on the way to it; a step without
// an id keeps its whole path.
func InfoOf(c call.Call, volatile []string) Info {
	info := Info{Step: c.Step, Path: c.Step, Attempt: c.Attempt, Volatile: volatile}
	at := strings.LastIndexAny(c.Step, "./") + 1
	if id := c.Step[at:]; !strings.Contains(id, "[") {
		info.Step = id
		if way := c.Step[:at]; strings.Contains(way, "[") {
			info.Iteration = strings.TrimRight(way, "./")
		}
	}
	return info
}

// is tells whether an exchange's step is the one that makes the request.
func (i Info) is(step string) bool { return step == i.Step || step == i.Path && step != "" }

type infoKey struct{}

// WithInfo returns a context for the requests that info describes.
func WithInfo(ctx context.Context, info Info) context.Context {
	return context.WithValue(ctx, infoKey{}, info)
}

func infoOf(ctx context.Context) Info {
	info, _ := ctx.Value(infoKey{}).(Info)
	return info
}

package server

import (
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
)

// The JSON of runs. Fields may be added; names and meanings never change.
type (
	// A Run is the head of a run.
	Run struct {
		RunID     string         `json:"run_id"`
		Flow      string         `json:"flow"`
		Digest    string         `json:"digest"` // of the flow's version
		Status    machine.Status `json:"status"`
		By        string         `json:"by"` // what started it, for people
		StartedAt time.Time      `json:"started_at"`
		EndedAt   time.Time      `json:"ended_at,omitzero"`
		Unknown   int            `json:"unknown"` // how many of its calls nobody knows the outcome of
	}
	// A RunList is one page of runs, the last started first.
	RunList struct {
		Runs []Run  `json:"runs"`
		Next string `json:"next,omitempty"` // the cursor of the next page
	}
	// Started is the answer to a start. It has Outputs and Error if the request waited and
	// the run has ended. Outputs are in clear for the request that started the run, and
	// masked for those that repeat it.
	Started struct {
		Run
		Repeated bool           `json:"repeated"` // the key was used before: this is that run
		Outputs  map[string]any `json:"outputs,omitempty"`
		Error    *Failure       `json:"error,omitempty"`
	}
	// A Detail is all that is known of a run, masked.
	Detail struct {
		Run
		Inputs  map[string]any `json:"inputs"`
		Outputs map[string]any `json:"outputs"`
		Error   *Failure       `json:"error,omitempty"`
		Waits   []string       `json:"waits"`      // what it waits for, for people
		Held    []HeldCall     `json:"held_calls"` // why calls are not taken up
		Steps   []Step         `json:"steps"`
		Calls   []Call         `json:"calls"`
		Journal []host.Entry   `json:"journal"`
	}
	// A Failure is an error as flows see it.
	Failure struct {
		Code       string         `json:"code"`
		MetaCode   int64          `json:"meta_code"`
		Message    string         `json:"message"`
		Class      string         `json:"class"`
		StatusCode int64          `json:"status_code"`
		Step       string         `json:"step,omitempty"` // the path of the step that failed
		Details    map[string]any `json:"details,omitempty"`
	}
	// A Step is the state of a step; one in a loop has one for each iteration.
	Step struct {
		Path      string         `json:"path"` // unique in the run, such as each[3].notify
		ID        string         `json:"id,omitempty"`
		Flow      string         `json:"flow"` // that it stands in
		Kind      string         `json:"kind"`
		Status    machine.Status `json:"status"`
		Attempts  int            `json:"attempts"`
		StartedAt time.Time      `json:"started_at"`
		EndedAt   time.Time      `json:"ended_at,omitzero"`
		Unknown   bool           `json:"unknown"`         // a call of it may have happened, nobody knows
		State     string         `json:"state,omitempty"` // of the latest receipt
		Outputs   map[string]any `json:"outputs,omitempty"`
		Error     *Failure       `json:"error,omitempty"`
		Note      string         `json:"note,omitempty"`
		Keys      []string       `json:"keys,omitempty"` // of its calls
	}
	// A Call is one call that the run made.
	Call struct {
		Key        string         `json:"key"`
		Step       string         `json:"step"`
		Attempt    int            `json:"attempt"`
		Action     string         `json:"action"`
		Connection string         `json:"connection,omitempty"`
		TakenAt    time.Time      `json:"taken_at,omitzero"`
		Input      map[string]any `json:"input"`
		Outcome    *Outcome       `json:"outcome,omitempty"` // missing while it is under way
		Receipts   []Receipt      `json:"receipts"`
	}
	// An Outcome is the result of a call.
	Outcome struct {
		Status    call.Status    `json:"status"`
		Output    map[string]any `json:"output,omitempty"`
		Error     *Failure       `json:"error,omitempty"`
		Retryable bool           `json:"retryable"`
	}
	// A Receipt is news about a call after its answer, e.g. a status webhook.
	Receipt struct {
		ID    string         `json:"id,omitempty"`
		State string         `json:"state"`
		Data  map[string]any `json:"data,omitempty"`
		Error *Failure       `json:"error,omitempty"`
	}
	// A HeldCall is one that was not taken up yet.
	HeldCall struct {
		Step   string    `json:"step"`
		Reason string    `json:"reason"`
		Until  time.Time `json:"until,omitzero"` // missing: until somebody or something lifts it
	}
)

// The bodies of requests about runs and events.
type (
	// A StartRequest starts a run.
	StartRequest struct {
		Inputs map[string]any `json:"inputs" doc:"the values of the flow's inputs, by name, as the flow's schema defines them"`
	}
	// A RerunRequest starts a run with the inputs of another.
	RerunRequest struct {
		Latest bool `json:"latest" doc:"use the flow's current version instead of the one that the run had"`
	}
	// A CancelRequest asks a run to end.
	CancelRequest struct {
		Reason string `json:"reason" doc:"the reason, shown to people" schema:"maxLength=500"`
	}
	// A RetryRequest lets a run that failed continue.
	RetryRequest struct {
		Resend bool `json:"resend" doc:"also repeat calls that may have happened"`
	}
	// A SettleRequest sets the outcome of a call whose outcome is unknown.
	SettleRequest struct {
		Step      string `json:"step" doc:"the path of the step, or its id if that is unambiguous" schema:"required,minLength=1"`
		Happened  bool   `json:"happened" doc:"whether it happened, e.g. the message was sent" schema:"required"`
		MessageID string `json:"message_id" doc:"the API's id for it, e.g. a wamid; only if it happened" schema:"maxLength=1000"`
	}
	// An Event comes from outside, for runs that wait for it and for triggers.
	Event struct {
		ID         string         `json:"id,omitempty" doc:"an event with the id of an earlier one is dropped; random by default" schema:"maxLength=200"`
		Event      string         `json:"event" doc:"the kind of event, e.g. whatsapp.message" schema:"required,minLength=1"`
		Connection string         `json:"connection,omitempty" doc:"the connection that it came through" schema:"maxLength=64"`
		At         time.Time      `json:"at,omitzero" doc:"when it happened, at most 5 minutes ahead of the daemon's clock; now by default"`
		Data       map[string]any `json:"data" doc:"the fields of the event" schema:"required"`
	}
	// Delivered is the answer to an Event.
	Delivered struct {
		ID string `json:"id"`
	}
)

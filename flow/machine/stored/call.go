package stored

import (
	"time"

	"facteur/flow/call"
)

// An Outcome is the stored form of a call.Outcome.
type Outcome struct {
	Status    call.Status   `json:"status"`
	Output    object        `json:"output,omitempty"`
	Error     *Error        `json:"error,omitempty"`
	Retryable bool          `json:"retryable,omitempty"`
	After     time.Duration `json:"after,omitempty"` // in ns
	Backoff   string        `json:"backoff,omitempty"`
	Throttled string        `json:"throttled,omitempty"`
	Held      bool          `json:"held,omitempty"`
	Refused   bool          `json:"refused,omitempty"`
}

// An Error is the stored form of a call.Error.
type Error struct {
	Code       string `json:"code"`
	MetaCode   int64  `json:"meta_code,omitempty"`
	Message    string `json:"message"`
	Class      string `json:"class,omitempty"`
	StatusCode int64  `json:"status_code,omitempty"`
	Details    object `json:"details,omitempty"`
}

// A Receipt is the stored form of a call.Receipt.
type Receipt struct {
	Key   string `json:"key"`
	ID    string `json:"id,omitempty"`
	State string `json:"state"`
	Data  object `json:"data,omitempty"`
	Error *Error `json:"error,omitempty"`
}

// A Call is the stored form of a call.Call.
type Call struct {
	Key        string        `json:"key"`
	First      string        `json:"first,omitempty"`
	Run        string        `json:"run"`
	Step       string        `json:"step"`
	Attempt    int           `json:"attempt"`
	Action     string        `json:"action"`
	Connection string        `json:"connection,omitempty"`
	Input      object        `json:"input"`
	Idempotent bool          `json:"idempotent,omitempty"`
	Timeout    time.Duration `json:"timeout,omitempty"` // in ns
	Await      string        `json:"await,omitempty"`
}

// OfOutcome returns the stored form of an outcome.
func OfOutcome(o call.Outcome) Outcome {
	return Outcome{o.Status, o.Output, ofError(o.Error), o.Retryable, o.After, o.Backoff, o.Throttled, o.Held, o.Refused}
}

// Outcome returns what was stored.
func (o Outcome) Outcome() call.Outcome {
	return call.Outcome{
		Status: o.Status, Output: o.Output.values(), Error: o.Error.error(), Retryable: o.Retryable,
		After: o.After, Backoff: o.Backoff, Throttled: o.Throttled, Held: o.Held, Refused: o.Refused,
	}
}

// OfReceipt returns the stored form of a receipt.
func OfReceipt(r call.Receipt) Receipt {
	return Receipt{r.Key, r.ID, r.State, r.Data, ofError(r.Error)}
}

// Receipt returns what was stored.
func (r Receipt) Receipt() call.Receipt {
	return call.Receipt{Key: r.Key, ID: r.ID, State: r.State, Data: r.Data.values(), Error: r.Error.error()}
}

// OfCall returns the stored form of a call.
func OfCall(c call.Call) Call {
	return Call{c.Key, c.First, c.Run, c.Step, c.Attempt, c.Action, c.Connection, c.Input, c.Idempotent, c.Timeout, c.Await}
}

// Call returns what was stored. Its input is to be coerced by the signature's In.
func (c Call) Call() call.Call {
	return call.Call{
		Key: c.Key, First: c.First, Run: c.Run, Step: c.Step, Attempt: c.Attempt, Action: c.Action, Connection: c.Connection,
		Input: c.Input.values(), Idempotent: c.Idempotent, Timeout: c.Timeout, Await: c.Await,
	}
}

func ofError(e *call.Error) *Error {
	if e == nil {
		return nil
	}
	return &Error{e.Code, e.MetaCode, e.Message, e.Class, e.StatusCode, e.Details}
}

func (e *Error) error() *call.Error {
	if e == nil {
		return nil
	}
	return &call.Error{Code: e.Code, MetaCode: e.MetaCode, Message: e.Message, Class: e.Class, StatusCode: e.StatusCode, Details: e.Details.values()}
}

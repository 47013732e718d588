package actions

import (
	"errors"
	"time"

	"facteur/flow/call"
)

// A Failure is an error with the outcome of the call. Functions return one made by
// Permanent, Retry, After or Unknown, or fill in their own.
type Failure struct {
	Status    call.Status // Failed: definitely refused; Unknown; Cancelled: never begun
	Err       *call.Error
	Retryable bool          // of Failed: the same call may succeed later
	After     time.Duration // of Failed: but not before this has passed
	Backoff   string        // of Failed: see call.Outcome
	Throttled string        // the key of the limit that was hit
	Auth      bool          // of Failed: because of the credentials
	Final     bool          // of Unknown: repeating would be in vain, even if it is harmless
	Cause     error         // for errors.Is and errors.As, never shown
}

func (f *Failure) Error() string { return f.flowError().Message }

// flowError is the error that flows see.
func (f *Failure) flowError() call.Error {
	if f.Err == nil {
		return call.Error{Code: "failed", Class: "unknown", Message: "the action failed without saying why"}
	}
	return *f.Err
}

// Unwrap returns the cause and the error that flows see.
func (f *Failure) Unwrap() []error {
	var all []error
	if f.Err != nil {
		all = append(all, f.Err)
	}
	if f.Cause != nil {
		all = append(all, f.Cause)
	}
	return all
}

// Permanent says that the call was refused and will be refused again.
func Permanent(err error) error { return failure(call.Failed, "failed", "permanent", err) }

// Retry says that the call was refused, but that the same call may succeed later.
func Retry(err error) error { return After(0, err) }

// After is Retry that also says how long to wait at least.
func After(d time.Duration, err error) error {
	f := failure(call.Failed, "failed", "transient", err)
	f.Retryable, f.After = true, d
	return f
}

// Unknown says that the call may have happened. For a call that may be repeated it is
// the same as Retry.
func Unknown(err error) error { return failure(call.Unknown, outcomeUnknown, "unknown", err) }

// AuthError says that the call was refused because of the credentials. The set reads
// the connection again, and repeats the call if they have changed.
func AuthError(err error) error {
	f := failure(call.Failed, "auth", "auth", err)
	f.Auth = true
	return f
}

// authFailure returns the failure of a call that was refused for its credentials, else
// nil.
func authFailure(err error) *Failure {
	if f, ok := errors.AsType[*Failure](err); ok && f.Auth && f.Status == call.Failed {
		return f
	}
	return nil
}

// ErrPending, returned as the error, says that the call was accepted and that receipts
// decide about its success.
var ErrPending = errors.New("accepted, and waiting for receipts")

const outcomeUnknown = "outcome_unknown"

// failure keeps a *call.Error as it is, and wraps any other error in one.
func failure(status call.Status, code, class string, err error) *Failure {
	f := &Failure{Status: status, Cause: err}
	var inner *Failure
	switch {
	case errors.As(err, &inner):
		f.Err = inner.Err
	case !errors.As(err, &f.Err):
		f.Err = &call.Error{Code: code, Class: class, Message: err.Error()}
	}
	return f
}

// outcome turns the results of a function into an outcome for the machine.
func outcome(out map[string]any, err error, idempotent bool) call.Outcome {
	o := call.Outcome{Status: call.Succeeded, Output: out}
	if err == nil {
		return o
	}
	if errors.Is(err, ErrPending) {
		o.Status = call.Pending
		return o
	}
	var f *Failure
	if !errors.As(err, &f) {
		f = failure(call.Unknown, "failed", "unknown", err)
	}
	told := f.flowError()
	o.Status, o.Error = f.Status, &told
	o.Retryable, o.After, o.Backoff, o.Throttled = f.Retryable, f.After, f.Backoff, f.Throttled
	switch {
	case f.Status != call.Unknown:
	case idempotent:
		o.Status, o.Retryable = call.Failed, !f.Final
	default:
		told.Code = outcomeUnknown
	}
	return o
}

package machine

// Retryable tells whether the run may go on with Retried: it has ended, failed or
// cancelled, and what would be done again is known not to have happened, or resend says
// that it may be done again all the same. The error is a *RetryError. It changes nothing.
func (m *Machine) Retryable(resend bool) error {
	return &RetryError{Reason: "retrying is not built yet"}
}

// A RetryError says why a run cannot be retried.
type RetryError struct {
	Reason string
	// Unknown are the paths of the steps that may have happened and would be done again;
	// empty when resend would change nothing.
	Unknown []string
}

func (e *RetryError) Error() string { return e.Reason }

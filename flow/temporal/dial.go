package temporal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"facteur/flow/host"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
)

// A ServerError is an error of the server, with a hint for its operator.
type ServerError struct {
	Address string
	Hint    string // how to fix it; "" when that is not known

	err error
}

func (e *ServerError) Error() string { return fmt.Sprintf("Temporal at %s: %v", e.Address, e.err) }

// Unwrap returns the cause.
func (e *ServerError) Unwrap() error { return e.err }

// serverError returns a *ServerError for an error of the server.
func (o Options) serverError(doing string, err error) error {
	e := &ServerError{Address: o.Address, err: fmt.Errorf("%s: %w", doing, err)}
	switch {
	case errors.As(err, new(*ServerError)):
		return err
	case errors.As(err, new(*serviceerror.NamespaceNotFound)):
		e.err = fmt.Errorf("there is no namespace %s", o.Namespace)
		e.Hint = "make it: temporal operator namespace create --namespace " + o.Namespace + " --retention 90d; how long runs are kept after their end is its retention"
	case errors.As(err, new(*serviceerror.PermissionDenied)):
		e.Hint = "check the API key or the certificate, and what they may do in the namespace " + o.Namespace
	case IsUnavailable(err):
		e.err = errors.New("it does not answer")
		e.Hint = "make sure that the server runs and can be reached from here, with TLS or without as it wants it"
	}
	return e
}

// isNotFound reports whether an error of the server says that there is no such workflow, or that
// it has ended.
func isNotFound(err error) bool {
	return errors.As(err, new(*serviceerror.NotFound))
}

// notFound returns a *host.NotFoundError for one of the server, and other errors unchanged.
func notFound(run string, err error) error {
	if isNotFound(err) {
		return &host.NotFoundError{What: "run " + run}
	}
	return err
}

// isStarted reports whether an error of the server says that there is a workflow of that id.
func isStarted(err error) bool {
	return errors.As(err, new(*serviceerror.WorkflowExecutionAlreadyStarted))
}

// IsUnavailable reports whether an error of a host says that its server cannot be reached, or
// is overloaded. The request may succeed later, and may have been executed.
func IsUnavailable(err error) bool {
	return errors.As(err, new(*serviceerror.Unavailable)) || errors.As(err, new(*serviceerror.ResourceExhausted)) || isLate(err)
}

// isLate reports whether the server, or the context, says that a request took too long.
func isLate(err error) bool {
	return errors.As(err, new(*serviceerror.DeadlineExceeded)) || errors.Is(err, context.DeadlineExceeded)
}

// dial connects to the server, and checks that the namespace exists.
func (h *Host) dial(ctx context.Context) error {
	o := client.Options{
		HostPort: h.opts.Address, Namespace: h.opts.Namespace, Logger: sdkLogger{h.opts.Log},
		DataConverter: h.data, FailureConverter: failures(h.data),
		ConnectionOptions: client.ConnectionOptions{TLS: h.opts.TLS},
	}
	if h.tasks != nil {
		o.ConnectionOptions.DialOptions = []grpc.DialOption{grpc.WithChainUnaryInterceptor(h.tasks.intercept)}
	}
	if h.opts.APIKey != nil {
		o.Credentials = client.NewAPIKeyDynamicCredentials(h.opts.APIKey)
	}
	c, err := client.DialContext(ctx, o)
	if err != nil {
		return h.opts.serverError("reach it", err)
	}
	if _, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: h.opts.Namespace}); err != nil {
		c.Close()
		return h.opts.serverError("reach it", err)
	}
	h.client = c
	return nil
}

// Healthy returns nil if the server answers, and the worker of this process runs. After an
// error of Broken only a new host helps.
func (h *Host) Healthy(ctx context.Context) error {
	if err := h.Broken(); err != nil {
		return err
	}
	_, err := h.client.CheckHealth(ctx, &client.CheckHealthRequest{})
	if err != nil {
		return h.opts.serverError("ask how it is", err)
	}
	return nil
}

// Broken returns why the worker of this process has stopped by itself, e.g. because the server
// refuses its credentials or its namespace is gone; nil while it runs.
func (h *Host) Broken() error {
	if err := h.fatal.Load(); err != nil {
		return h.opts.serverError("work", *err)
	}
	return nil
}

// sdkLogger writes the SDK's messages to a log, one level lower than the SDK does: most are
// about something that is retried.
type sdkLogger struct{ log *slog.Logger }

func (l sdkLogger) Debug(string, ...any)          {}
func (l sdkLogger) Info(text string, with ...any) { l.log.Debug(text, with...) }
func (l sdkLogger) Warn(text string, with ...any) { l.log.Info(text, with...) }
func (l sdkLogger) Error(text string, with ...any) {
	if text == "Workflow panic" {
		l.workflowPanic(with)
		return
	}
	l.log.Warn(text, with...)
}

// workflowPanic logs that a workflow makes no progress, e.g. a run of another version. The
// SDK tries it again, but a person has to act. The stack trace is logged only for a runtime
// error, which is a fault of the program.
func (l sdkLogger) workflowPanic(with []any) {
	var kept []any
	for i := 0; i+1 < len(with); i += 2 {
		switch with[i] {
		case "WorkflowID", "WorkflowType", "Attempt", "Error":
			kept = append(kept, with[i], with[i+1])
		}
	}
	if said := fmt.Sprint(with...); strings.Contains(said, "runtime error") {
		kept = with
	}
	l.log.Error("a workflow stands still", kept...)
}

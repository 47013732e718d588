package temporal

import (
	"context"
	"errors"
	"fmt"

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
	if already := (*ServerError)(nil); errors.As(err, &already) {
		return err
	}
	e := &ServerError{Address: o.Address, err: fmt.Errorf("%s: %w", doing, err)}
	var missing *serviceerror.NamespaceNotFound
	var denied *serviceerror.PermissionDenied
	switch {
	case errors.As(err, &missing):
		e.err = fmt.Errorf("there is no namespace %s", o.Namespace)
		e.Hint = "make it: temporal operator namespace create --namespace " + o.Namespace + " --retention 90d; how long runs are kept after their end is its retention"
	case errors.As(err, &denied):
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
	_, missing := errors.AsType[*serviceerror.NotFound](err)
	return missing
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
	_, exists := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err)
	return exists
}

// IsUnavailable reports whether an error of a host says that its server cannot be reached, or
// is overloaded. The request may succeed later, and may have been executed.
func IsUnavailable(err error) bool {
	var away *serviceerror.Unavailable
	var late *serviceerror.DeadlineExceeded
	var full *serviceerror.ResourceExhausted
	return errors.As(err, &away) || errors.As(err, &late) || errors.As(err, &full) || errors.Is(err, context.DeadlineExceeded)
}

// dial connects to the server, and checks that the namespace exists. in tracks the tasks for
// workers; nil: there are none.
func dial(ctx context.Context, o Options, in *taskTracker) (client.Client, error) {
	data := newConverter(o)
	options := client.Options{
		HostPort: o.Address, Namespace: o.Namespace, Logger: sdkLogger{o.Log},
		DataConverter: data, FailureConverter: failures(data),
		ConnectionOptions: client.ConnectionOptions{TLS: o.TLS},
	}
	if in != nil {
		options.ConnectionOptions.DialOptions = []grpc.DialOption{grpc.WithChainUnaryInterceptor(in.intercept)}
	}
	if o.APIKey != nil {
		options.Credentials = client.NewAPIKeyDynamicCredentials(o.APIKey)
	}
	c, err := client.DialContext(ctx, options)
	if err == nil {
		_, err = c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: o.Namespace})
	}
	if err != nil {
		if c != nil {
			c.Close()
		}
		return nil, o.serverError("reach it", err)
	}
	return c, nil
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

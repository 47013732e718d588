package temporal

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
)

// A ServerError says that the server did not do what it was asked when a host was opened.
type ServerError struct {
	Address string
	Hint    string // how to mend it; "" when that is not known

	err error
}

func (e *ServerError) Error() string { return fmt.Sprintf("Temporal at %s: %v", e.Address, e.err) }

// Unwrap returns the cause.
func (e *ServerError) Unwrap() error { return e.err }

// fail explains an error of the server.
func (o Options) fail(doing string, err error) error {
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
	case IsAway(err):
		e.err = errors.New("it does not answer")
		e.Hint = "see that the server runs and can be reached from here, with TLS or without as it wants it"
	}
	return e
}

// IsAway tells whether an error of a host says that its server cannot be reached, or is
// overloaded: later it may do what it was asked. Whether it has done it already is not known.
func IsAway(err error) bool {
	var away *serviceerror.Unavailable
	var late *serviceerror.DeadlineExceeded
	var full *serviceerror.ResourceExhausted
	return errors.As(err, &away) || errors.As(err, &late) || errors.As(err, &full) || errors.Is(err, context.DeadlineExceeded)
}

// dial reaches the server, and makes sure that the namespace is there. in sees what it
// hands to workers; nil: there are none.
func dial(ctx context.Context, o Options, in *intake) (client.Client, error) {
	data := newConverter(o)
	options := client.Options{
		HostPort: o.Address, Namespace: o.Namespace, Logger: quietly{o.Log},
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
		return nil, o.fail("reach it", err)
	}
	return c, nil
}

// Healthy tells whether the server answers, and whether this process works. After an error
// that is final only a new host helps; see Broken.
func (h *Host) Healthy(ctx context.Context) error {
	if err := h.Broken(); err != nil {
		return err
	}
	_, err := h.client.CheckHealth(ctx, &client.CheckHealthRequest{})
	if err != nil {
		return h.opts.fail("ask how it is", err)
	}
	return nil
}

// Broken returns why this process works no more, e.g. because the server refuses its
// credentials or its namespace is gone; nil while it works.
func (h *Host) Broken() error {
	if err := h.broken.Load(); err != nil {
		return h.opts.fail("work", *err)
	}
	return nil
}

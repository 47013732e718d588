package temporal

import (
	"context"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
)

const (
	secretType = "facteur.secret"
	secretMemo = "secret"
)

// A KeyError says that the secret which the daemons of a task queue share cannot be opened:
// this process has another key than they.
type KeyError struct{ err error }

func (e *KeyError) Error() string {
	return fmt.Sprintf("what the other daemons have stored cannot be opened: %v", e.err)
}

// Unwrap returns the cause.
func (e *KeyError) Unwrap() error { return e.err }

// Secret returns a secret that all daemons of a task queue share, such as the key of
// Options.Hash. The first call for a name stores fresh, later ones return that. The server
// stores it sealed; each call seals it again, so that old keys can be retired one day. The
// error is a *KeyError if this process cannot open it, or a *ServerError.
//
// It is called before Open; of o only what connects to the server, Seal and Open matter.
func Secret(ctx context.Context, o Options, name string, fresh []byte) ([]byte, error) {
	h := newHost(o)
	o = h.opts
	if err := h.dial(ctx); err != nil {
		return nil, err
	}
	defer h.client.Close()
	options := h.newWorkflow(o.Queue + "/secret/" + name)
	options.WorkflowIDReusePolicy = enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
	options.Memo = map[string]any{secretMemo: fresh}
	_, err := h.client.ExecuteWorkflow(ctx, options, secretType)
	switch {
	case err == nil:
		return fresh, nil
	case !isStarted(err):
		return nil, o.serverError("keep what the daemons share", err)
	}
	d, err := h.client.DescribeWorkflow(ctx, options.ID, "")
	if err != nil {
		return nil, o.serverError("read what the daemons share", err)
	}
	var secret []byte
	if err := h.memo(d.Memo, secretMemo, &secret); err != nil {
		return nil, &KeyError{err}
	}
	options.WorkflowIDConflictPolicy = enumspb.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
	options.WorkflowIDReusePolicy = enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
	options.Memo = map[string]any{secretMemo: secret}
	if _, err = h.client.ExecuteWorkflow(ctx, options, secretType); err != nil {
		return nil, o.serverError("keep what the daemons share", err)
	}
	return secret, nil
}

package whatsapp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"facteur/actions"
	"facteur/flow/call"
)

// A Claim asks that nobody else sends to a recipient under a key for some time.
type Claim struct {
	Call      string // the key of the call that claims it
	Step      string // the first call of the step that makes it: its later attempts take over its claim
	Sender    string // phone number ID
	Recipient string // digits, or a user ID
	Key       string
	Within    time.Duration // an older send is not repeated
}

// An UnsettledError says that a send under the same key is under way, or may have
// happened without its answer being known.
type UnsettledError struct{ Call string }

func (e *UnsettledError) Error() string {
	return fmt.Sprintf("what became of an earlier send with the same key is not known yet (call %s)", e.Call)
}

// An Answer is what became of a send: a message was accepted, or nothing was.
type Answer struct {
	Call      string
	Sender    string // phone number ID
	Recipient string // digits, or a user ID
	MessageID string // of an accepted message, else ""
	WaID      string // the recipient as WhatsApp knows it, "" where the answer does not say
	UserID    string // of the recipient, "" where the answer does not say
	State     State  // accepted or held; else failed
	Shut      bool   // Meta said that the 24-hour window is shut
	OptedOut  bool   // Meta said that the recipient wants no marketing
}

// once asks whether the send would repeat another. Otherwise the send has begun.
func (s *sender) once(ctx context.Context, from string, to contact, o *Once) (repeats string, err error) {
	switch {
	case o == nil:
		return "", nil
	case s.Once == nil:
		return "", actions.Permanent(&call.Error{Code: "no_ledger", Class: "surroundings", Message: noLedger})
	}
	c := actions.CallOf(ctx)
	repeats, err = s.Once(ctx, Claim{
		Call: c.Key, Step: c.First, Sender: from, Recipient: to.key(), Key: o.Key, Within: o.Within,
	})
	switch unsettled := (*UnsettledError)(nil); {
	case errors.As(err, &unsettled):
		return "", actions.Retry(&call.Error{Code: "once_unsettled", Class: "unknown", Message: "nothing was sent: " + err.Error()})
	case err != nil:
		return "", actions.Retry(&call.Error{Code: "ledger", Class: "surroundings", Message: "whether this was sent before is not known: " + err.Error()})
	case repeats != "":
		return repeats, nil
	}
	if c.Begin == nil {
		return "", nil
	}
	if err := c.Begin(ctx); err != nil {
		err = actions.Retry(&call.Error{Code: "not_begun", Class: "surroundings", Message: "nothing was sent: " + err.Error()})
		s.tell(ctx, from, to, &SendOutput{}, false, err) // what it claimed is free for others
		return "", err
	}
	return "", nil
}

// claims tells whether a send first claims a key, and begins then.
func claims(in map[string]any) bool { return in["once"] != nil }

const noLedger = "`once` needs a ledger of what was sent before, and there is none here: leave `once` out"

// tell tells what became of a send, unless nobody knows. It must not depend on whether
// the call was given up meanwhile.
func (s *sender) tell(ctx context.Context, from string, to contact, out *SendOutput, shut bool, err error) {
	f, refused := errors.AsType[*actions.Failure](err)
	refused = refused && f.Status != call.Unknown
	if s.Told == nil || !refused && out.MessageID == "" {
		return
	}
	a := Answer{Call: actions.CallOf(ctx).Key, Sender: from, Recipient: to.key(), State: failed, Shut: shut}
	if refused {
		a.OptedOut = f.Err != nil && f.Err.MetaCode == codeOptedOut
	} else {
		a.MessageID, a.WaID, a.UserID, a.State = out.MessageID, out.WaID, out.UserID, out.Delivery
	}
	s.Told(context.WithoutCancel(ctx), a)
}

// codeOptedOut is what Meta says when the recipient wants no marketing.
const codeOptedOut = 131050

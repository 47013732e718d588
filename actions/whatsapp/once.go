package whatsapp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"facteur/actions"
	"facteur/flow/call"
)

// A Claim reserves a deduplication key for a sender and a recipient, for some time.
type Claim struct {
	Call      string // the key of the claiming call
	Step      string // the key of the step's first call: later attempts of the step take over its claim
	Sender    string // phone number ID
	Recipient string // digits, or a user ID
	Key       string
	Within    time.Duration // sends before that do not count
}

// An UnsettledError says that the outcome of an earlier send with the same key is not known:
// it is in progress, or its answer was lost.
type UnsettledError struct{ Call string }

func (e *UnsettledError) Error() string {
	return fmt.Sprintf("the outcome of an earlier send with the same key is not known yet (call %s)", e.Call)
}

// An Answer is the known outcome of a send: accepted, or surely not accepted.
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

// claimOnce claims the send's key. It returns the id of the message that the send would
// repeat; if there is none, the call is recorded as begun.
func (s *sender) claimOnce(ctx context.Context, from string, to contact, o *Once) (repeats string, err error) {
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
		return "", actions.Retry(&call.Error{Code: "ledger", Class: "surroundings", Message: "it is not known whether this was sent before: " + err.Error()})
	case repeats != "":
		return repeats, nil
	}
	if c.Begin == nil {
		return "", nil
	}
	if err := c.Begin(ctx); err != nil {
		err = actions.Retry(&call.Error{Code: "not_begun", Class: "surroundings", Message: "nothing was sent: " + err.Error()})
		s.reportAnswer(ctx, from, to, &SendOutput{}, false, err) // releases the claim
		return "", err
	}
	return "", nil
}

// claimsKey tells whether a send claims a key, and therefore records its beginning itself.
func claimsKey(in map[string]any) bool { return in["once"] != nil }

const noLedger = "`once` needs a ledger of earlier sends, and there is none here: leave `once` out"

// reportAnswer calls OnAnswer, unless the outcome is unknown. The answer must be recorded even
// if the call was cancelled meanwhile.
func (s *sender) reportAnswer(ctx context.Context, from string, to contact, out *SendOutput, shut bool, err error) {
	f, refused := errors.AsType[*actions.Failure](err)
	refused = refused && f.Status != call.Unknown
	if s.OnAnswer == nil || !refused && out.MessageID == "" {
		return
	}
	a := Answer{Call: actions.CallOf(ctx).Key, Sender: from, Recipient: to.key(), State: failed, Shut: shut}
	if refused {
		a.OptedOut = f.Err != nil && f.Err.MetaCode == codeOptedOut
	} else {
		a.MessageID, a.WaID, a.UserID, a.State = out.MessageID, out.WaID, out.UserID, out.Delivery
	}
	s.OnAnswer(context.WithoutCancel(ctx), a)
}

// codeOptedOut is Meta's error code for a recipient who opted out of marketing.
const codeOptedOut = 131050

package graph

import "time"

// A Class says what kind of error a code is, and so what can be done about it.
type Class string

// The classes.
const (
	Transient       Class = "transient"        // passes by itself
	TransientMaybe  Class = "transient-maybe"  // may pass by itself: two more tries
	TransientSlow   Class = "transient-slow"   // passes by itself, in minutes
	ThrottleApp     Class = "throttle-app"     // the app, or its use of the account, is over its rate
	ThrottleWABA    Class = "throttle-waba"    // the WhatsApp Business Account is over its rate
	ThrottleNumber  Class = "throttle-number"  // the sender number is over its rate
	ThrottlePair    Class = "throttle-pair"    // too much from this sender to this recipient
	ThrottleFlow    Class = "throttle-flow"    // too many messages with this WhatsApp Flow
	ThrottleQuality Class = "throttle-quality" // held back for hours or days: people block or report the number
	ThrottleAccount Class = "throttle-account" // held back for hours or days: the account broke a rule

	NeedsTemplate      Class = "needs-template"       // outside the 24-hour window only templates are taken
	NeedsOtherTemplate Class = "needs-other-template" // this template is paused
	PermanentTemplate  Class = "permanent-template"   // the template, or what it was filled with, is wrong
	PermanentMedia     Class = "permanent-media"      // the file cannot be used
	Permanent          Class = "permanent"            // the request is wrong

	Recipient          Class = "recipient"           // this person cannot be reached this way
	RecipientMarketing Class = "recipient-marketing" // no marketing to this person for a day at least
	RecipientOptOut    Class = "recipient-optout"    // this person wants no marketing
	RecipientTest      Class = "recipient-test"      // a test number only writes to its list

	Auth             Class = "auth"              // the token, or what it may do
	AccountBlocked   Class = "account"           // the account or number cannot send until a person acts
	AccountRecipient Class = "account-recipient" // the account cannot send to this country

	InboundFault Class = "inbound" // about what somebody sent to the business
	Calling      Class = "calling" // about calls
)

// minDelay is how long to wait at least before the same call is made again. ok is false
// for a class that is never retried.
func (c Class) minDelay() (d time.Duration, ok bool) {
	switch c {
	case Transient, TransientMaybe, ThrottleApp, ThrottleWABA, ThrottleNumber, ThrottlePair:
		return 0, true
	case TransientSlow:
		return 10 * time.Minute, true
	case ThrottleFlow:
		return time.Hour, true
	}
	return 0, false
}

// describe tells in words what the engine makes of an error of the class.
func (c Class) describe() string {
	switch c {
	case Transient:
		return "retries the step with increasing delays, as its `retry` allows"
	case TransientMaybe:
		return "retries the step at most twice, or as its `retry` allows if Meta calls the error transient"
	case TransientSlow:
		return "retries the step after some minutes, as its `retry` allows"
	case ThrottleApp, ThrottleWABA:
		return "holds back this sender's messages for as long as Meta says, and retries the step as its `retry` allows"
	case ThrottleNumber:
		return "lowers the rate of this sender number and retries the step as its `retry` allows"
	case ThrottlePair:
		return "retries after 1, 4, 16, 64, 256 seconds, as `retry` allows; messages to other people continue"
	case ThrottleFlow:
		return "retries the step after an hour, as its `retry` allows"
	case ThrottleQuality, ThrottleAccount:
		return "fails the step and does not retry: this lasts hours or days"
	case NeedsTemplate:
		return "sends the step's `fallback`, once, if it has one; otherwise the step fails"
	case PermanentMedia:
		return "retries once if the file is given by link, because often Meta merely failed to fetch it; otherwise the step fails"
	case Auth:
		return "reads the connection from the vault again and continues if the token has changed; otherwise the step fails and the connection should be paused"
	case AccountBlocked, AccountRecipient:
		return "fails the step and does not retry: a person has to fix this"
	case RecipientMarketing:
		return "fails the step and does not retry: sending again within a day does harm"
	case RecipientOptOut:
		return "fails the step and never retries"
	}
	return "fails the step and does not retry: the same message would fail again"
}

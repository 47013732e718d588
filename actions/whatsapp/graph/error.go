package graph

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"facteur/flow/call"
)

// An Error is an error as the API reports it, in an answer or in a status webhook.
// Everything but the code may be missing.
type Error struct {
	Code      int64  `json:"code"`
	Subcode   int64  `json:"subcode,omitempty"`
	Type      string `json:"type,omitempty"`
	Title     string `json:"title,omitempty"`   // or Meta's message, without its "(#code)"
	Details   string `json:"details,omitempty"` // from error_data
	FBTraceID string `json:"fbtrace_id,omitempty"`
	Help      string `json:"href,omitempty"`         // a page of Meta's about it
	Transient bool   `json:"is_transient,omitempty"` // is_transient
	Status    int    `json:"status,omitempty"`       // HTTP; 0: it came in a webhook
}

// A Verdict is what an error means for the engine.
type Verdict struct {
	Class     Class
	Retryable bool
	After     time.Duration
	Backoff   string
	Known     bool // the code is in the catalogue
	Explanation
}

// Classify decides by the code, exact before range; of an unknown code by
// is_transient, then by the HTTP status.
func Classify(e Error) Verdict {
	v := Verdict{}
	v.Explanation, v.Known = Explain(e.Code)
	switch {
	case e.Code == 100 && e.Subcode == 33:
		v.Explanation, _ = Explain(33)
	case v.Known:
	case e.Transient:
		v.Explanation.Class = Transient
	case e.Status == http.StatusTooManyRequests:
		v.Explanation.Class = ThrottleApp
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		v.Explanation.Class = Auth
	case e.Status >= 500:
		v.Explanation.Class = Transient
	default:
		v.Explanation.Class = Permanent
	}
	v.Class = v.Explanation.Class
	v.After, v.Retryable = v.Class.minDelay()
	v.After = max(v.After, v.Explanation.After)
	if v.Class == ThrottlePair {
		v.Backoff = "pair"
	}
	if v.Class == Calling && e.Status == http.StatusTooManyRequests {
		v.Retryable = true
	}
	return v
}

// CallError gives the error as flows see it.
func (e Error) CallError(v Verdict) *call.Error {
	title := cmp.Or(e.Title, v.Title)
	message := "Meta refused the message"
	if e.Status == 0 {
		message = "Meta did not deliver the message"
	}
	message += fmt.Sprintf(": %s (%d)", lower(title), e.Code)
	if e.Details != "" && !strings.EqualFold(strings.TrimSuffix(e.Details, "."), title) {
		message += ": " + e.Details
	}
	details := map[string]any{"retry": retryText(v)}
	for k, text := range map[string]string{"title": cmp.Or(v.Title, title), "details": e.Details, "fbtrace_id": e.FBTraceID, "help": v.Cure} {
		if text != "" {
			details[k] = text
		}
	}
	if e.Subcode != 0 {
		details["subcode"] = e.Subcode
	}
	return &call.Error{
		Code: strconv.FormatInt(e.Code, 10), MetaCode: e.Code, Class: string(v.Class),
		Message: message, StatusCode: int64(e.Status), Details: details,
	}
}

// Undelivered gives the error of a status as flows see it. What was accepted is never sent
// again by itself.
func (e Error) Undelivered() *call.Error {
	v := Classify(e)
	v.Retryable = false
	return e.CallError(v)
}

func retryText(v Verdict) string {
	switch {
	case !v.Retryable:
		return "never"
	case v.After > 0:
		return "after " + v.After.String()
	}
	return "later"
}

// Summary is the title and the code, as within a sentence.
func (e Error) Summary() string { return fmt.Sprintf("%s (%d)", lower(e.Title), e.Code) }

func lower(s string) string {
	if len(s) > 1 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'a' && s[1] <= 'z' {
		return string(s[0]+'a'-'A') + s[1:]
	}
	return s
}

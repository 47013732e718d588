package webhook

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"facteur/flow/call"
	"facteur/flow/schema"
	"facteur/vault"
)

// Name is that of the kind of event that requests become.
const Name = "webhook"

// A Request is one to a path of the daemon; `event` in flows.
type Request struct {
	Path       string            `json:"path" schema:"required,always" doc:"the path, as in the trigger or the wait_for"`
	Body       any               `json:"body" schema:"required,always" doc:"the body: parsed if it is JSON, otherwise its text"`
	Headers    map[string]string `json:"headers" schema:"required,always" doc:"the headers, with names in lower case"`
	ReceivedAt time.Time         `json:"received_at" schema:"required,always" doc:"when it arrived"`
}

// Event returns the kind of event that flows can wait for.
func Event() call.Event {
	return call.Event{
		Name:       Name,
		Doc:        "A request to a path of the daemon. A wait_for matches those that arrived since the run started.",
		Type:       schema.Of[Request](),
		By:         "path",
		Subject:    Path,
		Connection: true,
		App:        string(vault.Webhook),
	}
}

// Path gives a path the form that equal ones share: one slash before it and none after it.
func Path(text string) (string, error) {
	path := strings.Trim(text, "/")
	if path == "" || len(path) > 1024 || strings.ContainsFunc(path, func(r rune) bool {
		return r == '?' || r == '#' || unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar
	}) {
		if r := []rune(text); len(r) > 40 {
			text = string(r[:40]) + "…"
		}
		return "", fmt.Errorf("%q is not a path; write it as payments/done", text)
	}
	return "/" + path, nil
}

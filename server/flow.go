package server

import (
	"time"

	"facteur/flow/host"
)

// The JSON of flows, connections and holds. Fields may be added; names and meanings
// never change.
type (
	// A Flow is one of the project's flows, as runs start with it now.
	Flow struct {
		Flow        string    `json:"flow"`
		Description string    `json:"description,omitempty"`
		Digest      string    `json:"digest"`
		File        string    `json:"file,omitempty"`
		Connections []string  `json:"connections"` // that its steps use
		Triggers    []Trigger `json:"triggers"`
	}
	// A FlowDetail is all that there is to know of a flow.
	FlowDetail struct {
		Flow
		Inputs  map[string]any    `json:"inputs"`  // a JSON Schema
		Outputs map[string]any    `json:"outputs"` // a JSON Schema
		Events  []string          `json:"events"`  // that its runs may wait for
		Sources map[string]string `json:"sources"` // its text, and those of the flows that it calls, by name
	}
	// A FlowList is the project's flows, by name.
	FlowList struct {
		Flows []Flow `json:"flows"`
	}
	// A Trigger starts a flow from outside.
	Trigger struct {
		Kind          string `json:"kind"` // webhook, schedule or whatsapp_message
		Path          string `json:"path,omitempty"`
		Connection    string `json:"connection,omitempty"`
		Cron          string `json:"cron,omitempty"`
		Timezone      string `json:"timezone,omitempty"`
		SenderPhoneID string `json:"sender_phone_id,omitempty"`
	}
	// Reloaded says what a reload changed.
	Reloaded struct {
		Flows       int          `json:"flows"` // how many there are now
		Added       []string     `json:"added"`
		Changed     []string     `json:"changed"`
		Removed     []string     `json:"removed"`
		Diagnostics []Diagnostic `json:"diagnostics"` // warnings
	}
	// A Diagnostic is something found in a flow, in the form of "facteur validate --json".
	Diagnostic struct {
		File     string `json:"file,omitempty"`
		Line     int    `json:"line,omitempty"`
		Col      int    `json:"col,omitempty"`
		EndLine  int    `json:"end_line,omitempty"`
		EndCol   int    `json:"end_col,omitempty"`
		Severity string `json:"severity"` // error or warning
		Code     string `json:"code,omitempty"`
		Message  string `json:"message"`
		Hint     string `json:"hint,omitempty"`
	}

	// A Connection is a named set of credentials, without them.
	Connection struct {
		Name        string    `json:"name"`
		App         string    `json:"app"`
		Backend     string    `json:"backend,omitempty"`
		Ready       bool      `json:"ready"`
		Missing     []string  `json:"missing,omitempty"` // required fields that are not there
		Problem     string    `json:"problem,omitempty"`
		Hint        string    `json:"hint,omitempty"` // the secret, masked, such as EA…2c
		CreatedAt   time.Time `json:"created_at,omitzero"`
		UpdatedAt   time.Time `json:"updated_at,omitzero"`
		RefreshedAt time.Time `json:"refreshed_at,omitzero"`
	}
	// A ConnectionList is the project's connections, by name.
	ConnectionList struct {
		Connections []Connection `json:"connections"`
	}

	// A Hold keeps calls from being taken up.
	Hold struct {
		Scope  host.Scope `json:"scope"`
		Name   string     `json:"name,omitempty"`
		Reason string     `json:"reason"`
		Since  time.Time  `json:"since"`
		Auto   bool       `json:"auto"`  // set, and lifted, by the daemon itself
		Calls  int        `json:"calls"` // how many it holds back now
		Until  time.Time  `json:"until,omitzero"`
	}
	// A HoldList is the holds in force.
	HoldList struct {
		Holds []Hold `json:"holds"`
	}
	// A PauseRequest sets a hold.
	PauseRequest struct {
		Scope  host.Scope `json:"scope" doc:"what is paused" schema:"required,enum=all|connection|flow"`
		Name   string     `json:"name" doc:"the name of the connection or flow" schema:"maxLength=64"`
		Reason string     `json:"reason" doc:"the reason, shown to people" schema:"maxLength=500"`
	}
	// A ResumeRequest lifts a hold.
	ResumeRequest struct {
		Scope host.Scope `json:"scope" doc:"what is resumed" schema:"required,enum=all|connection|flow"`
		Name  string     `json:"name" doc:"the name of the connection or flow" schema:"maxLength=64"`
	}

	// Readiness says whether the daemon can work.
	Readiness struct {
		Ready  bool          `json:"ready"`
		Checks []CheckResult `json:"checks"`
	}
	// A CheckResult is the result of one Check. Error is only shown with the scope read.
	CheckResult struct {
		Name  string `json:"name"`
		OK    bool   `json:"ok"`
		Error string `json:"error,omitempty"`
	}
)

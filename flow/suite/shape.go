package suite

import (
	"slices"
	"sync"
	"time"

	"facteur/flow/call"
	"facteur/flow/schema"
)

// The shape of a test file, from which the parser and the JSON Schema are
// derived.
type (
	fileShape struct {
		Flow  string      `json:"flow" schema:"required" doc:"the name of the flow that is tested"`
		Cases []caseShape `json:"cases" schema:"required,minItems=1" doc:"each is one run of the flow"`
	}

	caseShape struct {
		Name        string                    `json:"name" schema:"required,minLength=1" doc:"the name of the case: what it shows; unique in the file"`
		Inputs      map[string]any            `json:"inputs" doc:"the flow's inputs"`
		InputsFile  string                    `json:"inputs_file" schema:"minLength=1" doc:"a JSON or YAML file with the inputs, beside this one"`
		Trigger     triggerShape              `json:"trigger" doc:"what starts the flow, instead of inputs"`
		Connections map[string]map[string]any `json:"connections" doc:"connections by name, overriding those of the project, e.g. {whatsapp_shop: {token: test-token}}"`
		Settings    map[string]any            `json:"settings" doc:"settings, overriding those of the project"`
		Now         time.Time                 `json:"now" schema:"default=2026-01-01T00:00:00Z" doc:"when the run starts"`
		Random      []int64                   `json:"random" doc:"what random() returns first, in order"`
		Window      map[string]string         `json:"window" schema:"enum=open|shut" doc:"whether a contact's 24-hour window is open or shut; default: not known"`
		Exchanges   []any                     `json:"exchanges" doc:"the recorded exchanges: {step, request, response}"`
		Recording   string                    `json:"recording" schema:"minLength=1" doc:"a file with the exchanges, beside this one"`
		Events      []eventShape              `json:"events" doc:"events and receipts that come during the run"`
		Holds       []holdShape               `json:"holds" doc:"calls that are held back, as by a pause or a rate limit"`
		Crash       []crashShape              `json:"crash" doc:"where the host crashes and restarts: one place, or a list"`
		Expect      expectShape               `json:"expect" doc:"the expected result of the run; default: it succeeds"`
	}

	triggerShape struct {
		Message  map[string]any `json:"whatsapp_message" doc:"the message that comes in, e.g. {from: \"+33612345678\", text: oui}"`
		Webhook  map[string]any `json:"webhook" doc:"the request that comes in: {path, body, headers}"`
		Schedule *scheduleShape `json:"schedule" doc:"a time of the schedule has come"`
	}

	scheduleShape struct {
		Cron string `json:"cron" doc:"which schedule, if the flow has several"`
	}

	holdShape struct {
		Step    string        `json:"step" schema:"required" doc:"the id of an action's step, or the path that reports print"`
		Attempt int           `json:"attempt" schema:"minimum=1,default=1" doc:"which attempt"`
		For     time.Duration `json:"for" schema:"required" doc:"for how long"`
	}

	crashShape struct {
		Step    string `json:"step" schema:"required" doc:"the id of an action's step, or the path that reports print"`
		Attempt int    `json:"attempt" schema:"minimum=1,default=1" doc:"which attempt"`
		Point   string `json:"point" schema:"required,enum=scheduled|sent|recorded" doc:"after the call was recorded as taken up; after it was made; after its outcome was recorded"`
	}

	expectShape struct {
		Status  string            `json:"status" schema:"enum=succeeded|failed" doc:"how the run ends; default: succeeded, or failed if error is given"`
		Outputs map[string]any    `json:"outputs" doc:"the expected outputs, with $any, $regex, $cel and $more as in exchanges"`
		Error   *errorShape       `json:"error" doc:"the expected error of a failed run"`
		Assert  []string          `json:"assert" doc:"conditions over inputs, steps, outputs, settings, error and run, e.g. steps.notify.attempts == 2"`
		Steps   map[string]string `json:"steps" schema:"enum=succeeded|failed|skipped" doc:"the expected status of steps, by id or path"`
	}

	errorShape struct {
		Code string `json:"code" doc:"the error's code, e.g. outcome_unknown or 131047; not_triggered: the case's trigger starts no run"`
		Step string `json:"step" doc:"the id of the step that failed"`
	}
)

var (
	fileType  = sync.OnceValue(schema.Of[fileShape])
	caseType  = sync.OnceValue(func() *schema.Type { return fileType().Field("cases").Type.Elem })
	eventType = sync.OnceValue(schema.Of[eventShape])
)

// An eventShape is an event or a receipt; its other keys are the data.
type eventShape struct{ eventKeys }

type eventKeys struct {
	At         *time.Duration `json:"at" doc:"when it comes, counted from the run's start"`
	After      string         `json:"after" doc:"the id of a step, or the path that reports print: the event comes after that step's first call …"`
	In         time.Duration  `json:"in" doc:"… by this much; default: at once"`
	Event      string         `json:"event" doc:"the kind of event, e.g. whatsapp.message; its fields are written beside it"`
	Connection string         `json:"connection" doc:"the connection that the event comes through"`
	Receipt    string         `json:"receipt" doc:"the id, or the path, of the step whose latest call it is about"`
}

// SchemaType implements schema.Typed.
func (eventShape) SchemaType() *schema.Type {
	t := *schema.Of[eventKeys]()
	t.Open = true
	return &t
}

// A receiptShape is what all receipts have in common; the action's signature adds more.
type receiptShape struct {
	Status string        `json:"status" schema:"required,minLength=1" doc:"e.g. sent, delivered, read, failed"`
	Error  *receiptError `json:"error" schema:"open" doc:"for failed: {code, title}"`
}

type receiptError struct {
	Code    string `json:"code" schema:"required" doc:"e.g. 131047"`
	Title   string `json:"title" doc:"what the code means"`
	Message string `json:"message" doc:"what went wrong"`
}

// receiptType is the type of an action's receipts.
func receiptType(sig *call.Signature) *schema.Type {
	t := *schema.Of[receiptShape]()
	if sig == nil || sig.Receipt == nil {
		t.Open = true
		return &t
	}
	status := *t.Field("status")
	status.Type = &schema.Type{Kind: schema.String, Doc: status.Doc}
	for _, state := range append(slices.Clone(sig.States), "failed") {
		status.Type.Enum = append(status.Type.Enum, state)
	}
	t.Fields = append([]*schema.Field{&status}, sig.Receipt.Fields...)
	return &t
}

// An eventsShape is a file with only events.
type eventsShape struct {
	Events []eventShape `json:"events" schema:"required" doc:"events and receipts that come during the run"`
}
